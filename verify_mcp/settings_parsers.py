"""Parsers of the settings: each turns a variable's text into its value, or raises InvalidValue."""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

API_URL = "https://api.plivo.com"
DEFAULT_AHEAD = 400
"""Requests that are made in the background for one question, unless a setting says otherwise."""
_RATE = re.compile(r"([0-9]{1,6})\s*/\s*([0-9]{1,6}(?:\.[0-9]{1,3})?)", re.ASCII)
# Only signatures that need a private key: a shared secret or none at all is never accepted.
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
_HOST = re.compile(r"(?:[A-Za-z0-9.-]{1,253}|\[[0-9a-fA-F:.]{2,45}\])(?::[0-9]{1,5})?", re.ASCII)
_DATABASE_SCHEMES = ("sqlite", "postgresql", "postgres")


class InvalidValue(ValueError):
    """A sentence about a value without its subject, the setting's name.

    The sentence lacks its end, too, when an example of a right value belongs there.
    """


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `requests` in any `window` seconds."""

    requests: int
    window: float

    def __str__(self) -> str:
        return f"{self.requests}/{self.window:g}"


def is_loopback(host: str) -> bool:
    """Whether a host name or address can mean this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parse_api_url(text: str) -> str:
    """Scheme and host only: https, or http to this machine. Raises InvalidValue."""
    try:
        url = urlsplit(text)
        host, port = url.hostname or "", url.port
    except ValueError:
        raise InvalidValue(_api_url_problem("is not a URL")) from None
    if problem := _problem_of(url, host):
        raise InvalidValue(_api_url_problem(problem))
    host_text = f"[{host}]" if ":" in host else host
    return f"{url.scheme}://{host_text}" + (f":{port}" if port else "")


def _problem_of(url: SplitResult, host: str) -> str:
    if url.scheme not in ("https", "http") or not host:
        return "is not a URL"
    if url.username is not None or url.password is not None:
        return "holds a user or password"
    if url.path.strip("/") or url.query or url.fragment:
        return "has a path or query"
    if url.scheme == "http" and not is_loopback(host):
        return "is plain http to another machine"
    return ""


def _api_url_problem(what: str) -> str:
    return f"{what}. Give https://host, e.g. {API_URL}, or leave it out."


def parse_web_address(text: str) -> str:
    """A web address, as it was written: https, or http to this machine. Raises InvalidValue."""
    try:
        url = urlsplit(text)
        host, _ = url.hostname or "", url.port
    except ValueError:
        host, url = "", urlsplit("")
    safe = url.scheme == "https" or (url.scheme == "http" and is_loopback(host))
    if text and (not host or not safe or "@" in url.netloc or url.fragment):
        raise InvalidValue(
            "is not a web address. Give https://host/path, without user or fragment."
        )
    return text


def parse_database_url(text: str) -> str:
    """A URL with a scheme that there is a database for, or "". Raises InvalidValue."""
    scheme = text.partition(":")[0].lower()
    if text and (scheme not in _DATABASE_SCHEMES or "://" not in text):
        raise InvalidValue(
            "is not a database URL. Give sqlite:///path/to/file, sqlite:// (memory) or "
            "postgresql://user@host/name."
        )
    return text


def parse_path(text: str) -> Path | None:
    """A path, with `~` replaced; None when the text is empty."""
    return Path(text).expanduser() if text else None


def parse_count(text: str) -> int:
    """A whole number from 1 to 99999. Raises InvalidValue."""
    if not re.fullmatch(r"[1-9][0-9]{0,4}", text, re.ASCII):
        raise InvalidValue("is not a whole number from 1 to 99999")
    return int(text)


def parse_hosts(text: str) -> tuple[str, ...]:
    """Exact values of the Host header, with their port where it is not the scheme's own.

    Raises InvalidValue.
    """
    hosts = tuple(filter(None, re.split(r"[\s,]+", text)))
    if any(not _HOST.fullmatch(host) for host in hosts):
        raise InvalidValue(
            "is not a list of hosts. Give exact names with their port, "
            "e.g. verify.example.com,10.0.0.5:8000. There are no wildcards."
        )
    return hosts


def parse_algorithms(text: str) -> tuple[str, ...]:
    """Names of signature algorithms (RFC 7518), comma-separated. Raises InvalidValue."""
    algorithms = tuple(name.strip() for name in text.split(","))
    if any(name not in _ALGORITHMS for name in algorithms):
        raise InvalidValue(f"is not a list of {', '.join(_ALGORITHMS)}.")
    return algorithms


def parse_rate(text: str) -> Rate:
    """Requests in a window of seconds, e.g. 20/60. Raises InvalidValue."""
    match = _RATE.fullmatch(text)
    rate = Rate(int(match[1]), float(match[2])) if match else Rate(0, 0)
    if rate.requests < 1 or rate.window <= 0:
        raise InvalidValue("is not a rate. Give requests/seconds")
    return rate


def seconds_up_to(most: float) -> Callable[[str], float]:
    """A parser of seconds from 0 to `most`, which raises InvalidValue."""

    def parse_seconds(text: str) -> float:
        is_number = re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", text, re.ASCII)
        seconds = float(text) if is_number else -1.0
        if not 0 <= seconds <= most:
            raise InvalidValue(f"is not a number of seconds from 0 to {most:g}")
        return seconds

    return parse_seconds


def parse_duration(text: str) -> timedelta:
    """A number of seconds, minutes, hours or days, e.g. 90d. Raises InvalidValue."""
    match = re.fullmatch(r"([0-9]{1,5})([smhd])", text, re.ASCII)
    if match is None:
        raise InvalidValue("is not a length of time. Give e.g. 30m, 1h or 90d.")
    unit = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}[match[2]]
    return timedelta(**{unit: int(match[1])})


def parse_settle_time(text: str) -> timedelta:
    """A duration of a minute at least. Raises InvalidValue."""
    settle = parse_duration(text)
    if settle < timedelta(minutes=1):
        raise InvalidValue("is shorter than a minute. Give e.g. 1h.")
    return settle


def parse_retention(text: str) -> timedelta | None:
    """A duration; None, for no limit, when the text is empty. Raises InvalidValue."""
    return parse_duration(text) if text else None


def parse_ahead(text: str) -> int:
    """How many requests are made in the background for one question. Raises InvalidValue."""
    words = {"on": DEFAULT_AHEAD, "off": 0}
    if text.lower() in words:
        return words[text.lower()]
    if not re.fullmatch(r"[0-9]{1,6}", text, re.ASCII):
        raise InvalidValue("is neither on, off nor a number of requests")
    return int(text)


def parse_follow(text: str) -> timedelta | None:
    """A duration of an hour to 90 days; None when the text is empty. Raises InvalidValue."""
    if not text:
        return None
    span = parse_duration(text)
    if not timedelta(hours=1) <= span <= timedelta(days=90):
        raise InvalidValue("is shorter than an hour or longer than 90 days. Give e.g. 7d.")
    return span


def parse_time_zone(text: str) -> str:
    """The name of an IANA time zone. Raises InvalidValue."""
    try:
        return ZoneInfo(text).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidValue("is not an IANA time zone") from None

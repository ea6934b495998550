"""The doctor's checks of what lies between this machine and the API: proxy, certificates, clock."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # no stub

import anyio

from verify_mcp.cli.checks import (
    OK,
    PROBLEM,
    UNCHECKED,
    WARNING,
    CheckResult,
    Environ,
    readable_settings,
)  # fmt: skip
from verify_mcp.cli.wording import explain_error
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.errors import CredentialsRejected, InvalidSetting, VerifyError
from verify_mcp.plivo.client import open_client
from verify_mcp.plivo.page_request import PageRequest
from verify_mcp.settings import API_URL, Settings, read_settings

_SLOW_CLOCK, _WRONG_CLOCK = 30, 300
"""Seconds that the clock may differ from the API's before it is a warning, and a problem."""


@dataclass(frozen=True, slots=True)
class ApiProbe:
    """How the one request went: its error, None when it was answered; the API's clock, if known."""

    error: VerifyError | None
    server_time: datetime | None


def network(environ: Environ) -> Iterator[CheckResult]:
    """Proxies and certificates: what lies between this machine and the API."""
    settings = readable_settings(environ, "VERIFY_MCP_API_URL")
    url = urlsplit(settings.api_url if settings else API_URL)
    if url.scheme == "http":
        yield CheckResult(OK, "Proxy", "none: the address is on this machine")
        return
    yield proxy(environ, url.hostname or "")
    yield certificates(environ)


def proxy(environ: Environ, host: str) -> CheckResult:
    """The proxy that requests to this host go through, its password left out."""
    names = ("HTTPS_PROXY", "ALL_PROXY")
    name = next((name for name in names if _value(environ, name)), None)
    if name is None:
        return CheckResult(OK, "Proxy", "none in the environment")
    if _bypasses_proxy(host, _value(environ, "NO_PROXY")):
        return CheckResult(OK, "Proxy", f"{name} is set, but NO_PROXY leaves out {host}")
    url = _value(environ, name)
    address = urlsplit(url if "://" in url else f"http://{url}")
    if address.scheme not in ("http", "https"):
        return CheckResult(
            PROBLEM,
            "Proxy",
            f"{name} names a {address.scheme} proxy, which is not supported",
            "Name an http proxy, or add the API's host to NO_PROXY.",
        )
    message = f"{name}: requests to {host} go through {address.hostname or 'nowhere'}"
    return CheckResult(OK, "Proxy", message + (f", port {address.port}" if _port(address) else ""))


def _bypasses_proxy(host: str, no_proxy: str) -> bool:
    # httpx reads "*" among other hosts as every host, urllib only "*" alone.
    everywhere = "*" in map(str.strip, no_proxy.split(","))
    return everywhere or bool(proxy_bypass_environment(host, {"no": no_proxy}))


def _port(address: SplitResult) -> int | None:
    try:
        return address.port
    except ValueError:
        return None


def certificates(environ: Environ) -> CheckResult:
    """The certificates that this machine trusts."""
    path = environ.get("SSL_CERT_FILE", "").strip()
    if not path:
        return CheckResult(OK, "Certificates", "the system's store (SSL_CERT_FILE is not set)")
    try:
        content = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        content = ""
    if "-----BEGIN" not in content:
        return CheckResult(
            PROBLEM,
            "Certificates",
            f"SSL_CERT_FILE names {path}, which cannot be read or holds no certificate",
            "Name a PEM file with your company's CA certificate, or unset it.",
        )
    return CheckResult(OK, "Certificates", f"SSL_CERT_FILE: {path}")


def probe_api(environ: Environ, app: Callable[..., Any] | None) -> ApiProbe | None:
    """Send one request to the API, or to an ASGI application; None when settings prevent it."""
    try:
        settings = read_settings(environ)
    except InvalidSetting:
        return None
    return None if settings.credentials is None else anyio.run(_request_once, settings, app)


async def _request_once(settings: Settings, app: Callable[..., Any] | None) -> ApiProbe:
    async with open_client(settings, now=lambda: datetime.now(UTC), app=app) as api:
        try:
            await api.list_sessions(PageRequest(SessionFilter(), limit=1, offset=0))
        except VerifyError as error:
            return ApiProbe(error, api.server_time)
        return ApiProbe(None, api.server_time)


def connection(probe: ApiProbe | None, *, offline: bool) -> CheckResult:
    """How the one request went."""
    if probe is None:
        why = "--offline" if offline else "put the problems above right first"
        return CheckResult(UNCHECKED, "API", f"not asked ({why})")
    if probe.error is None:
        return CheckResult(OK, "API", "answered, and the credentials are good (1 request)")
    remedy = ""
    if isinstance(probe.error, CredentialsRejected):
        remedy = "A token can be renewed in the Plivo console; the old one then stops working."
    return CheckResult(PROBLEM, "API", explain_error(probe.error), remedy)


def clock(probe: ApiProbe | None, now: datetime) -> CheckResult:
    """The clock against the API's: times such as `24h` are counted from it."""
    if probe is None or probe.server_time is None:
        return CheckResult(UNCHECKED, "Clock", f"{now:%Y-%m-%d %H:%M} UTC (not compared)")
    off = (now - probe.server_time).total_seconds()
    if abs(off) < _SLOW_CLOCK:
        return CheckResult(OK, "Clock", f"{now:%Y-%m-%d %H:%M} UTC, as the API's")
    message = f"{abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} the API's"
    level = PROBLEM if abs(off) > _WRONG_CLOCK else WARNING
    return CheckResult(level, "Clock", message, "Let the system set its time from the network.")


def _value(environ: Environ, name: str) -> str:
    return (environ.get(name.lower()) or environ.get(name) or "").strip()

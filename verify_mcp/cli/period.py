"""The period that a command's `--since` and `--until` name."""

from datetime import datetime

from verify_mcp.domain.times import parse_time
from verify_mcp.domain.windows import Window
from verify_mcp.errors import InvalidArgument


def parse_period(since: str, until: str | None, now: datetime) -> Window:
    """The window in full seconds, ending now at the latest. Raises InvalidArgument."""
    now = now.replace(microsecond=0)
    start = parse_option("--since", since, now)
    end = min(parse_option("--until", until, now), now) if until else now
    if start >= end:
        raise InvalidArgument("--since is not before --until. Give e.g. --since 7d.")
    return Window(start.replace(microsecond=0), end.replace(microsecond=0))


def parse_option(option: str, text: str, now: datetime) -> datetime:
    """The instant that an option names. Raises InvalidArgument, naming the option."""
    try:
        return parse_time(text, now=now)
    except InvalidArgument as error:
        raise InvalidArgument(f"{option} {error}") from None

"""The emulator's command line: an Emulator from its options."""

from __future__ import annotations

import os
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .app import Emulator, real_clock
from .auth import SANDBOX_AUTH_ID, SANDBOX_AUTH_TOKEN
from .generate import generate
from .options import Fault, Options
from .serve import loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NOW_VARIABLE = "EMULATOR_NOW"
MAX_PORT = 65535
MAX_SECONDS = 86_400.0


DESCRIPTION = (
    "Serves a pretend Plivo Verify Session API on a loopback port, with an account of made-up "
    f"sessions. Its auth id is {SANDBOX_AUTH_ID}, its auth token {SANDBOX_AUTH_TOKEN}. A server "
    "asks it when VERIFY_MCP_API_URL has its address. Without "
    "options it behaves as the documents say; each option is a behaviour that they leave open, or "
    "a fault."
)
EXAMPLES = (
    "verify-mcp emulator --port 8080",
    f"curl -u {SANDBOX_AUTH_ID}:{SANDBOX_AUTH_TOKEN} "
    f"'http://127.0.0.1:8080/v1/Account/{SANDBOX_AUTH_ID}/Verify/Session/?limit=2'",
    "verify-mcp emulator --limit off --fault bad-gateway:0.1   # one reply in ten fails",
)


def add_arguments(parser: ArgumentParser, environ: Mapping[str, str] = os.environ) -> None:
    """Add the emulator's options to `parser`; EMULATOR_NOW is the default of `--now`."""
    parser.set_defaults(emulator_refuses=parser.error)
    parser.add_argument(
        "--host", type=_host, default="127.0.0.1", help="loopback address (default %(default)s)"
    )
    parser.add_argument(
        "--port", type=_port, default=0, help="port; 0, the default, is any free one"
    )
    _add_data(parser, environ)
    _add_forms(parser)
    _add_faults(parser)


def _add_data(parser: ArgumentParser, environ: Mapping[str, str]) -> None:
    data = parser.add_argument_group("data")
    data.add_argument("--golden", action="store_true", help="only the two documented sessions")
    data.add_argument(
        "--seed",
        type=int,
        default=7,
        help="another number makes another account (default %(default)s)",
    )
    data.add_argument(
        "--now",
        type=_moment,
        default=environ.get(NOW_VARIABLE) or None,
        metavar="TIME",
        help=f"ISO 8601 time to pin the clock to (default: ${NOW_VARIABLE}, else the real time)",
    )
    data.add_argument(
        "--last-day",
        type=_natural,
        default=240,
        metavar="N",
        help="sessions in the last day (default %(default)s)",
    )
    data.add_argument(
        "--total",
        type=_natural,
        default=6000,
        metavar="N",
        help="sessions in ninety days (default %(default)s)",
    )


def _add_forms(parser: ArgumentParser) -> None:
    forms = parser.add_argument_group("forms of requests and replies")
    forms.add_argument(
        "--shape",
        choices=("lean", "rich"),
        default="lean",
        help="fields of a session: lean has few, rich adds country, network, brand and more",
    )
    forms.add_argument(
        "--casing",
        choices=("docs", "sdk"),
        default="docs",
        help="upper and lower case of statuses: as in the documents or as in the SDKs",
    )
    forms.add_argument(
        "--empty-list",
        choices=("null", "empty"),
        default="null",
        help="how a list without sessions is written: null or []",
    )
    forms.add_argument(
        "--unknown-params",
        choices=("ignore", "refuse"),
        default="ignore",
        help="what happens to a query parameter that the API does not know",
    )
    forms.add_argument(
        "--pagination",
        choices=("offset", "cursor", "hybrid"),
        default="offset",
        help="what meta.next holds: an offset, a cursor, or both",
    )
    forms.add_argument(
        "--next-echo", action="store_true", help="repeat the filters of the request in meta.next"
    )
    forms.add_argument(
        "--absolute-next", action="store_true", help="write meta.next with scheme and host"
    )


def _add_faults(parser: ArgumentParser) -> None:
    faults = parser.add_argument_group("limits, delays and faults")
    faults.add_argument(
        "--limit",
        type=_limit,
        default=(20, 60.0),
        metavar="N/SECONDS",
        help="list requests allowed in so many seconds, or 'off' (default: 20/60)",
    )
    faults.add_argument(
        "--retry-after",
        choices=("none", "seconds", "date"),
        default="none",
        help="whether a 429 says when to try again, and how it is written",
    )
    faults.add_argument(
        "--latency",
        type=_latency,
        default=0.0,
        metavar="SECONDS[-SECONDS]",
        help="time a reply takes, or a span to draw it from (default: none)",
    )
    faults.add_argument(
        "--fault",
        type=_fault,
        action="append",
        default=[],
        metavar="NAME[:RATE]",
        help="what goes wrong, always or at a rate from 0 to 1; may be given again. Names: "
        f"{', '.join(Fault)}",
    )


def from_arguments(namespace: Namespace) -> Emulator:
    """The emulator that the options describe."""
    options = namespace
    if options.last_day > options.total:
        options.emulator_refuses("argument --last-day: must not be above --total")
    behaviour = _behaviour(options)
    if options.golden:
        return Emulator.documented(behaviour=behaviour, seed=options.seed)
    return Emulator(
        lambda now: generate(
            seed=options.seed, now=now, last_day=options.last_day, total=options.total
        ),
        behaviour=behaviour,
        clock=_clock(options.now),
        seed=options.seed,
    )


def _behaviour(options: Namespace) -> Options:
    list_limit, list_window = options.limit
    return Options(
        shape=options.shape,
        casing=options.casing,
        empty_list=options.empty_list,
        unknown_params=options.unknown_params,
        pagination=options.pagination,
        next_echo_filters=options.next_echo,
        absolute_next=options.absolute_next,
        list_limit=list_limit,
        list_window=list_window,
        retry_after=None if options.retry_after == "none" else options.retry_after,
        latency=options.latency,
        fault_chances=tuple(options.fault),
    )


def _clock(pinned: datetime | None) -> Callable[[], datetime]:
    return real_clock if pinned is None else lambda: pinned


def _host(text: str) -> str:
    try:
        return loopback(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


def _natural(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ArgumentTypeError(f"{text!r} is not a whole number from 0 up")
    return int(text)


def _port(text: str) -> int:
    port = _natural(text)
    if port > MAX_PORT:
        raise ArgumentTypeError(f"{text!r} is not a port: they end at {MAX_PORT}")
    return port


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(
            f"{text!r} is not an ISO 8601 time such as 2023-06-01T12:00:00Z"
        ) from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _number(text: str, minimum: float, maximum: float) -> float:
    number = float(text)
    if not minimum <= number <= maximum:
        raise ValueError
    return number


def _limit(text: str) -> tuple[int | None, float]:
    if text == "off":
        return None, 60.0
    count, _, window = text.partition("/")
    try:
        return _natural(count), _number(window, 0, MAX_SECONDS)
    except (ValueError, ArgumentTypeError):
        raise ArgumentTypeError(
            f"{text!r} is not a limit. Write 20/60 for twenty in sixty seconds, or off"
        ) from None


def _latency(text: str) -> float | tuple[float, float]:
    low, dash, high = text.partition("-")
    try:
        minimum = _number(low, 0, MAX_SECONDS)
        return (minimum, _number(high, minimum, MAX_SECONDS)) if dash else minimum
    except ValueError:
        raise ArgumentTypeError(
            f"{text!r} is not a latency. Write seconds, as 0.2, or a span, as 0.1-0.5"
        ) from None


def _fault(text: str) -> tuple[Fault, float]:
    name, colon, rate = text.partition(":")
    try:
        return Fault(name), _number(rate if colon else "1", 0, 1)
    except ValueError:
        raise ArgumentTypeError(
            f"{text!r} is not a fault. Write a name, or a name and a rate from 0 to 1, "
            f"as {Fault.BAD_GATEWAY}:0.2"
        ) from None

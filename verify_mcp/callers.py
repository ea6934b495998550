"""Who asks over HTTP: a name, a budget, and perhaps one subaccount that is all they may see."""

import re
from collections import OrderedDict, deque
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

SCOPE = "verify:read"
"""The OAuth scope that a token must carry."""
ALL_SUBACCOUNTS = "*"
"""A token's claim that it is not confined to a subaccount."""
MINUTE = 60.0
HOUR = 3600.0
MAX_CALLERS = 10_000
"""Callers whose calls of the last minute are remembered."""
MAX_LOOKUPS = 60
"""Recipients that a caller may look up in an hour while recipients are masked."""
_SUBACCOUNT = re.compile(r"SA[A-Z0-9]{18}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@|:-]{0,127}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody whose token was checked; `subaccount` is "" for those who may see everything.

    `issuer` is the authorization server that named them, "" for a token of the tokens file: the
    same name from both stands for two callers.
    """

    name: str
    calls_per_minute: int
    subaccount: str = ""
    issuer: str = ""

    @property
    def key(self) -> str:
        """What tells this caller from every other one."""
        return f"{self.issuer} {self.name}"


LOCAL_CALLER = Caller("local", 0)
"""Whoever asks a server that checks no tokens, because only this machine reaches it."""


current_caller: ContextVar[str] = ContextVar("current_caller", default=" local")
"""The key of the caller whose message is answered; by default that of `LOCAL_CALLER`."""


def is_subaccount(text: object) -> bool:
    """Whether this is a subaccount's auth id."""
    return isinstance(text, str) and _SUBACCOUNT.fullmatch(text) is not None


def is_name(text: object) -> bool:
    """Whether this can name a caller in logs and files."""
    return isinstance(text, str) and _NAME.fullmatch(text) is not None


class CallerRateLimits:
    """How many calls each caller made in the last minute; `clock` is monotonic seconds.

    Each process counts for itself, so that a call needs no database to be let in.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._calls: OrderedDict[str, deque[float]] = OrderedDict()

    def acquire(self, caller: Caller) -> float:
        """0 when the caller may call now, which counts; else seconds until they may."""
        if not caller.calls_per_minute:
            return 0.0
        now = self._clock()
        calls = self._calls.setdefault(caller.key, deque())
        self._calls.move_to_end(caller.key)
        if len(self._calls) > MAX_CALLERS:
            self._calls.popitem(last=False)
        while calls and calls[0] <= now - MINUTE:
            calls.popleft()
        if len(calls) >= caller.calls_per_minute:
            return calls[0] + MINUTE - now
        calls.append(now)
        return 0.0


class RecipientLookups:
    """Recipients that each caller looked up in the last hour; `clock` is monotonic seconds.

    A pseudonym shows a number's ends, so whoever may try every number between them finds the one
    behind it. The same recipient again is no further try. Each process counts for itself.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._callers: OrderedDict[str, dict[str, float]] = OrderedDict()

    def seconds_until_lookup(self, caller: str, recipient: str) -> float:
        """Seconds until this caller may look up this recipient, 0 when they may now."""
        recent = self._recent(caller)
        if recipient in recent or len(recent) < MAX_LOOKUPS:
            return 0.0
        return min(recent.values()) + HOUR - self._clock()

    def record(self, caller: str, recipient: str) -> None:
        """Count a look-up."""
        self._recent(caller).setdefault(recipient, self._clock())

    def _recent(self, caller: str) -> dict[str, float]:
        edge = self._clock() - HOUR
        recent = self._callers.get(caller, {})
        self._callers[caller] = {name: at for name, at in recent.items() if at > edge}
        self._callers.move_to_end(caller)
        if len(self._callers) > MAX_CALLERS:
            self._callers.popitem(last=False)
        return self._callers[caller]

"""Who asks over HTTP: a name, a budget, and perhaps one subaccount that is all they may see."""

import re
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from verify_mcp.domain.api_limits import is_subaccount_id
from verify_mcp.mirror.lookups import MAX_CALLERS

SCOPE = "verify:read"
"""The OAuth scope that a token must carry."""
ALL_SUBACCOUNTS = "*"
"""A token's claim that it is not confined to a subaccount."""
MINUTE = 60.0
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


def is_subaccount(text: object) -> bool:
    """Whether this is a subaccount's auth id."""
    return isinstance(text, str) and is_subaccount_id(text)


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

"""Callers over HTTP: a name, calls a minute, and perhaps one subaccount as their bound."""

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from cachetools import LRUCache

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
    """The holder of a valid token; `subaccount` is "" when they may see the whole account.

    `calls_per_minute` is 0 for a caller without a limit. `issuer` is the authorization server that
    issued the token, "" for a token of the tokens file: the same name from both is two callers.
    """

    name: str
    calls_per_minute: int
    subaccount: str = ""
    issuer: str = ""

    @property
    def key(self) -> str:
        """The caller's identity: no other caller has this text."""
        return f"{self.issuer} {self.name}"


LOCAL_CALLER = Caller("local", 0)
"""The caller of a server that checks no tokens, because only this machine reaches it."""


def is_subaccount(text: object) -> bool:
    """Whether this is a subaccount's auth id."""
    return isinstance(text, str) and is_subaccount_id(text)


def is_name(text: object) -> bool:
    """Whether this can name a caller in logs and files."""
    return isinstance(text, str) and _NAME.fullmatch(text) is not None


class CallerRateLimits:
    """How many calls each caller made in the last minute; `clock` is monotonic seconds.

    Each process counts its own calls, so that accepting a call takes no database.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._calls: LRUCache[str, deque[float]] = LRUCache(MAX_CALLERS)

    def acquire(self, caller: Caller) -> float:
        """Count a call and return 0, or return the seconds until the caller may make one."""
        if not caller.calls_per_minute:
            return 0.0
        now = self._clock()
        calls = self._calls.setdefault(caller.key, deque())
        while calls and calls[0] <= now - MINUTE:
            calls.popleft()
        if len(calls) >= caller.calls_per_minute:
            return calls[0] + MINUTE - now
        calls.append(now)
        return 0.0

"""Access tokens of an OAuth 2.1 authorization server: JWTs, checked with its published keys."""

import logging
from collections.abc import Mapping
from typing import Any

import anyio
import anyio.to_thread
import jwt

from verify_mcp.callers import EVERYTHING, Caller, is_name, is_subaccount
from verify_mcp.settings import OAuth

LONGEST = 8192
"""Characters of a token; real ones are a quarter of this."""
LEEWAY = 30
"""Seconds by which clocks may differ."""
KEYS_LIVE = 300
"""Seconds after which the published keys are read again."""
KEYS_REST = 30
"""Seconds between two looks for a key that is not published; any stranger can cause one."""
_FETCH_SECONDS = 5
_TYPES = ("at+jwt", "application/at+jwt", "jwt")
_REQUIRED = ["exp", "iat", "aud", "iss", "sub"]

logger = logging.getLogger(__name__)


class Issuer:
    """The authorization server whose tokens are accepted; `rest` is KEYS_REST but in tests."""

    def __init__(self, oauth: OAuth, budget: int, *, rest: float = KEYS_REST) -> None:
        self._oauth = oauth
        self._budget = budget
        self._keys = jwt.PyJWKClient(
            oauth.jwks_url, lifespan=KEYS_LIVE, timeout=_FETCH_SECONDS, cooldown_duration=rest
        )
        # Fetching keys blocks its thread: strangers' tokens must not take every thread there is.
        self._limiter: anyio.CapacityLimiter | None = None

    async def claims(self, token: str) -> Mapping[str, Any] | None:
        """What a token that is good says, None for any other."""
        if len(token) > LONGEST or token.count(".") != 2:
            return None
        self._limiter = self._limiter or anyio.CapacityLimiter(4)
        return await anyio.to_thread.run_sync(self._checked, token, limiter=self._limiter)

    def caller(self, claims: Mapping[str, Any]) -> Caller | None:
        """Whom the claims stand for, None when they name nobody or no subaccount."""
        name = claims.get("sub")
        if not is_name(name):
            return None
        if not self._oauth.subaccount_claim:
            return self._caller(name)
        confined = claims.get(self._oauth.subaccount_claim)
        if confined == EVERYTHING:
            return self._caller(name)
        # Without the claim nothing may be seen: a claim that was forgotten must not open all.
        return self._caller(name, str(confined)) if is_subaccount(confined) else None

    def _caller(self, name: object, subaccount: str = "") -> Caller:
        return Caller(str(name), self._budget, subaccount, self._oauth.issuer)

    def _checked(self, token: str) -> Mapping[str, Any] | None:
        try:
            header = jwt.get_unverified_header(token)
            # Looked at before a key is: `none` and shared secrets never meet a public key.
            if header.get("alg") not in self._oauth.algorithms or not isinstance(
                header.get("kid"), str
            ):
                return None
            if str(header.get("typ", "jwt")).lower() not in _TYPES:
                return None
            key = self._keys.get_signing_key(header["kid"])
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key,
                algorithms=list(self._oauth.algorithms),
                audience=self._oauth.audience,
                issuer=self._oauth.issuer,
                leeway=LEEWAY,
                options={"require": _REQUIRED},
            )
        except jwt.PyJWKClientConnectionError:
            logger.warning("The authorization server's keys cannot be read; tokens are refused.")
            return None
        except (jwt.PyJWTError, ValueError, TypeError):
            return None
        return claims


def scopes(claims: Mapping[str, Any]) -> list[str]:
    """The scopes a token carries, in either of the two common spellings."""
    said = claims.get("scope", claims.get("scp", ""))
    if isinstance(said, str):
        return said.split()
    return [each for each in said if isinstance(each, str)] if isinstance(said, list) else []

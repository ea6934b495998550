"""Access tokens of an OAuth 2.1 authorization server: JWTs, checked with its published keys."""

from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any

import jwt

from verify_mcp.http.callers import ALL_SUBACCOUNTS, Caller, is_name, is_subaccount
from verify_mcp.http.jwks import JWKS_COOLDOWN, JWKS_TIMEOUT, JwksCache
from verify_mcp.settings import OAuth

MAX_TOKEN_LENGTH = 8192
"""Characters of a token; real ones are a quarter of this."""
LEEWAY = 30
"""Seconds by which clocks may differ."""
_TYPES = ("at+jwt", "application/at+jwt", "jwt")
_REQUIRED = ["exp", "iat", "aud", "iss", "sub"]


class JwtVerifier:
    """The authorization server whose tokens are accepted.

    `rest` is the seconds between two requests for its keys, `timeout` those for one, and `clock`
    gives monotonic seconds.
    """

    def __init__(
        self,
        oauth: OAuth,
        budget: int,
        *,
        rest: float = JWKS_COOLDOWN,
        timeout: float = JWKS_TIMEOUT,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._oauth = oauth
        self._budget = budget
        self._keys = JwksCache(oauth.jwks_url, cooldown=rest, timeout=timeout, clock=clock)

    async def verify(self, token: str) -> Mapping[str, Any] | None:
        """What a token that is good says, None for any other."""
        if len(token) > MAX_TOKEN_LENGTH or token.count(".") != 2:
            return None
        kid = self._key_id(token)
        key = await self._keys.get_key(kid) if kid is not None else None
        return self._verify(token, key) if key is not None else None

    def caller(self, claims: Mapping[str, Any]) -> Caller | None:
        """Whom the claims stand for, None when they name nobody or no subaccount."""
        name = claims.get("sub")
        if not is_name(name):
            return None
        if not self._oauth.subaccount_claim:
            return self._caller(name)
        confined = claims.get(self._oauth.subaccount_claim)
        if confined == ALL_SUBACCOUNTS:
            return self._caller(name)
        # Without the claim nothing may be seen: a claim that was forgotten must not open all.
        return self._caller(name, str(confined)) if is_subaccount(confined) else None

    def _caller(self, name: object, subaccount: str = "") -> Caller:
        return Caller(str(name), self._budget, subaccount, self._oauth.issuer)

    def _key_id(self, token: str) -> str | None:
        """The id of the key that a token names, None when such a token is never good."""
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            return None
        # Checked before a key is looked up: `none` and shared secrets never meet a public key.
        if header.get("alg") not in self._oauth.algorithms:
            return None
        if str(header.get("typ", "jwt")).lower() not in _TYPES:
            return None
        kid = header.get("kid")
        return kid if isinstance(kid, str) else None

    def _verify(self, token: str, key: jwt.PyJWK) -> Mapping[str, Any] | None:
        try:
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key,
                algorithms=list(self._oauth.algorithms),
                audience=self._oauth.audience,
                issuer=self._oauth.issuer,
                leeway=LEEWAY,
                options={"require": _REQUIRED},
            )
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            return None
        return claims


def scopes(claims: Mapping[str, Any]) -> list[str]:
    """The scopes a token carries, in either of the two common spellings."""
    claim = claims.get("scope", claims.get("scp", ""))
    if isinstance(claim, str):
        return claim.split()
    return [each for each in claim if isinstance(each, str)] if isinstance(claim, list) else []

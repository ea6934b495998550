"""Access tokens of an OAuth 2.1 authorization server: JWTs (RFC 9068), checked with its keys."""

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
    """Checks the tokens of one authorization server.

    Each caller may make `calls_per_minute`. `cooldown` is the seconds between two requests for the
    server's keys, `timeout` those for one, and `clock` gives monotonic seconds.
    """

    def __init__(
        self,
        oauth: OAuth,
        calls_per_minute: int,
        *,
        cooldown: float = JWKS_COOLDOWN,
        timeout: float = JWKS_TIMEOUT,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._oauth = oauth
        self._calls_per_minute = calls_per_minute
        self._keys = JwksCache(oauth.jwks_url, cooldown=cooldown, timeout=timeout, clock=clock)

    async def verify(self, token: str) -> Mapping[str, Any] | None:
        """The claims of a token, None when it is not valid."""
        if len(token) > MAX_TOKEN_LENGTH or token.count(".") != 2:
            return None
        kid = self._key_id(token)
        key = await self._keys.get_key(kid) if kid is not None else None
        return self._verify(token, key) if key is not None else None

    def caller(self, claims: Mapping[str, Any]) -> Caller | None:
        """The caller that the claims name, None when they name none or no subaccount."""
        name = claims.get("sub")
        if not is_name(name):
            return None
        if not self._oauth.subaccount_claim:
            return self._caller(name)
        subaccount = claims.get(self._oauth.subaccount_claim)
        if subaccount == ALL_SUBACCOUNTS:
            return self._caller(name)
        # A token without the claim is refused: a forgotten claim must not give the whole account.
        return self._caller(name, str(subaccount)) if is_subaccount(subaccount) else None

    def _caller(self, name: object, subaccount: str = "") -> Caller:
        return Caller(str(name), self._calls_per_minute, subaccount, self._oauth.issuer)

    def _key_id(self, token: str) -> str | None:
        """The id of the key that a token names, None when no key can make the token valid."""
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            return None
        # Before a key is looked up, so that none is ever used with `none` or a shared secret.
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


def scopes_of(claims: Mapping[str, Any]) -> list[str]:
    """The scopes in a token's claims: `scope`, else `scp`, as one text or as a list."""
    scopes = claims.get("scope", claims.get("scp", ""))
    if isinstance(scopes, str):
        return scopes.split()
    if not isinstance(scopes, list):
        return []
    return [scope for scope in scopes if isinstance(scope, str)]

"""Who a caller is, by a token."""

from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings

from verify_mcp.http.callers import SCOPE, Caller
from verify_mcp.http.oauth import JwtVerifier, scopes
from verify_mcp.http.tokens import TokenFile
from verify_mcp.settings import Settings


class CallerToken(AccessToken):
    """A token that was checked, and whom it stands for."""

    caller: Caller


STATIC_TOKEN_RESOURCE = "static"  # noqa: S105 - the name of a resource
"""The resource of a token from the file, where no public address is set."""


class CallerTokenVerifier:
    """Checks tokens: those of the file by their digest, all others as the issuer's."""

    def __init__(
        self, tokens: TokenFile | None, issuer: JwtVerifier | None, settings: Settings
    ) -> None:
        self._tokens = tokens
        self._issuer = issuer
        self._settings = settings
        self._resource = settings.public_url if issuer else STATIC_TOKEN_RESOURCE

    def auth_settings(self) -> AuthSettings | None:
        """What the protocol's library shall publish and insist on, with an issuer."""
        oauth = self._settings.oauth
        if oauth is None:
            return None
        # As text: an address without a path gets no slash then, and issuers are compared exactly.
        return AuthSettings.model_validate(
            {
                "issuer_url": oauth.issuer,
                "resource_server_url": self._settings.public_url,
                "required_scopes": [SCOPE],
                "validate_token_resource": True,
            }
        )

    async def verify_token(self, token: str) -> CallerToken | None:
        """Whom a token stands for, None when it is not good."""
        caller = self._tokens.caller(token) if self._tokens else None
        if caller is not None:
            return self._caller_token(caller, [SCOPE])
        claims = await self._issuer.verify(token) if self._issuer else None
        known = self._issuer.caller(claims) if self._issuer and claims else None
        if claims is None or known is None:
            return None
        return self._caller_token(known, scopes(claims), issuer=str(claims["iss"]))

    def _caller_token(self, caller: Caller, carried: list[str], *, issuer: str = "") -> CallerToken:
        return CallerToken(
            token="",  # nobody needs it from here on
            client_id=caller.name,
            scopes=carried,
            resource=self._resource,
            subject=caller.name,
            claims={"iss": issuer} if issuer else None,
            caller=caller,
        )

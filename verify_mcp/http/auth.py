"""The verifier of bearer tokens: those of the tokens file, and those of an authorization server."""

from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings

from verify_mcp.http.callers import SCOPE, Caller
from verify_mcp.http.oauth import JwtVerifier, scopes_of
from verify_mcp.http.tokens import TokenFile
from verify_mcp.settings import Settings


class CallerToken(AccessToken):
    """A valid token, with its caller."""

    caller: Caller


STATIC_TOKEN_RESOURCE = "static"  # noqa: S105 - the name of a resource
"""The resource of a token from the file, where no public address is set."""


class CallerTokenVerifier:
    """Checks a token by its digest in the tokens file, and otherwise as a JWT of the issuer."""

    def __init__(
        self, tokens: TokenFile | None, jwt_verifier: JwtVerifier | None, settings: Settings
    ) -> None:
        self._tokens = tokens
        self._jwt_verifier = jwt_verifier
        self._settings = settings
        self._resource = settings.public_url if jwt_verifier else STATIC_TOKEN_RESOURCE

    def auth_settings(self) -> AuthSettings | None:
        """The metadata that the protocol's library publishes and enforces; None without OAuth."""
        oauth = self._settings.oauth
        if oauth is None:
            return None
        # As text, because an issuer is compared exactly and a URL object would add a slash.
        return AuthSettings.model_validate(
            {
                "issuer_url": oauth.issuer,
                "resource_server_url": self._settings.public_url,
                "required_scopes": [SCOPE],
                "validate_token_resource": True,
            }
        )

    async def verify_token(self, token: str) -> CallerToken | None:
        """The token with its caller, None when it is not valid."""
        caller = self._tokens.caller(token) if self._tokens else None
        if caller is not None:
            return self._caller_token(caller, [SCOPE])
        if self._jwt_verifier is None:
            return None
        claims = await self._jwt_verifier.verify(token)
        caller = self._jwt_verifier.caller(claims) if claims else None
        if not claims or caller is None:
            return None
        return self._caller_token(caller, scopes_of(claims), issuer=str(claims["iss"]))

    def _caller_token(self, caller: Caller, scopes: list[str], *, issuer: str = "") -> CallerToken:
        return CallerToken(
            token="",  # it is not used after this
            client_id=caller.name,
            scopes=scopes,
            resource=self._resource,
            subject=caller.name,
            claims={"iss": issuer} if issuer else None,
            caller=caller,
        )

"""Serving over Streamable HTTP: for teams, behind names and tokens, and with an orderly end."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend
from mcp.server.transport_security import TransportSecuritySettings
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from verify_mcp.context import AppContext
from verify_mcp.errors import DatabaseUnavailable
from verify_mcp.http.auth import CallerTokenVerifier
from verify_mcp.http.listen import PATH, ListenAddress
from verify_mcp.http.middleware import CallerMiddleware
from verify_mcp.http.oauth import JwtVerifier
from verify_mcp.http.request_guard import RequestGuard, hosts_of
from verify_mcp.http.tokens import TokenFile
from verify_mcp.server.server import OpenContext, build_server
from verify_mcp.settings import Settings
from verify_mcp.tools import registry

MAX_BODY_BYTES = 1024 * 1024
"""Bytes of a request; tool calls are a thousandth of this."""

logger = logging.getLogger(__name__)


class HttpApp:
    """One process's application: the protocol behind its guard, and two words on its health."""

    def __init__(
        self,
        settings: Settings,
        place: ListenAddress,
        open_context: OpenContext,
        tokens: TokenFile | None,
        *,
        middleware: CallerMiddleware | None = None,
        issuer: JwtVerifier | None = None,
    ) -> None:
        self._settings = settings
        self._open_context = open_context
        self._context: AppContext | None = None
        oauth = settings.oauth
        if oauth is not None and issuer is None:
            issuer = JwtVerifier(oauth, settings.caller_budget)
        guarded = tokens is not None or issuer is not None
        self.middleware = middleware or CallerMiddleware(requires_token=guarded)
        self.guard = RequestGuard(
            self._build_app(tokens, issuer, hosts_of(settings, place)), settings, place
        )
        self.app: ASGIApp = self.guard

    def notify_closing(self) -> None:
        """Tell those whose calls are under way that the server ends."""
        self.middleware.notify_closing()

    def _build_app(
        self, tokens: TokenFile | None, issuer: JwtVerifier | None, hosts: tuple[str, ...]
    ) -> ASGIApp:
        server = build_server(self._open, self._settings.rate_limit)
        server.middleware.append(self.middleware)
        # Else every call would list the tools once more, to look its headers up.
        server.get_tool_input_schema = {
            offer.name: offer.tool().input_schema for offer in registry.TOOLS
        }.get
        door = CallerTokenVerifier(tokens, issuer, self._settings)
        app: ASGIApp = server.streamable_http_app(
            streamable_http_path=PATH,
            stateless_http=True,
            max_request_body_size=MAX_BODY_BYTES,
            transport_security=TransportSecuritySettings(allowed_hosts=list(hosts)),
            auth=door.auth_settings(),
            token_verifier=door if tokens or issuer else None,
            custom_starlette_routes=[
                Route("/healthz", _answer_liveness, methods=["GET"]),
                Route("/readyz", self._answer_readiness, methods=["GET"]),
            ],
        )
        if tokens and not issuer:  # with an issuer the application has these two already
            app = AuthenticationMiddleware(AuthContextMiddleware(app), BearerAuthBackend(door))
        return app

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[AppContext]:
        async with self._open_context() as context:
            self._context = context
            yield context

    async def _answer_readiness(self, _request: Request) -> Response:
        """Whether calls can be answered in full, in words that hold no secret."""
        state = {
            "credentials": "present" if self._settings.credentials else "missing",
            "database": await self._database_state(),
        }
        ready = state == {"credentials": "present", "database": "reachable"}
        return JSONResponse({"ready": ready, **state}, 200 if ready else 503)

    async def _database_state(self) -> str:
        if self._context is None:
            return "not open"
        try:
            await self._context.database.check()
        except DatabaseUnavailable:
            return "unreachable"
        return "reachable"


async def _answer_liveness(_request: Request) -> Response:
    return JSONResponse({"alive": True})

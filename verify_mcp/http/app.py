"""The ASGI application that serves MCP over Streamable HTTP, and its two health endpoints."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend
from mcp.server.transport_security import RequestBodyLimitMiddleware, TransportSecuritySettings
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
from verify_mcp.http.request_guard import RequestGuard, allowed_hosts
from verify_mcp.http.single_exchange import SingleExchangeApp
from verify_mcp.http.tokens import TokenFile
from verify_mcp.server.server import OpenContext, build_server
from verify_mcp.settings import Settings
from verify_mcp.tools import registry

MAX_BODY_BYTES = 1024 * 1024
"""Bytes of a request's body; that of a tool call is a thousandth of this."""

logger = logging.getLogger(__name__)


class HttpApp:
    """One process's application: the MCP endpoint with its middleware, `/healthz` and `/readyz`.

    `app` is the ASGI application. Callers need a token when there is a tokens file or an
    authorization server.
    """

    def __init__(
        self,
        settings: Settings,
        address: ListenAddress,
        open_context: OpenContext,
        tokens: TokenFile | None,
        *,
        middleware: CallerMiddleware | None = None,
        jwt_verifier: JwtVerifier | None = None,
    ) -> None:
        self._settings = settings
        self._open_context = open_context
        self._context: AppContext | None = None
        oauth = settings.oauth
        if oauth is not None and jwt_verifier is None:
            jwt_verifier = JwtVerifier(oauth, settings.caller_budget)
        requires_token = tokens is not None or jwt_verifier is not None
        self.middleware = middleware or CallerMiddleware(requires_token=requires_token)
        hosts = allowed_hosts(settings, address)
        self.guard = RequestGuard(self._build_app(tokens, jwt_verifier, hosts), hosts)
        self.app: ASGIApp = self.guard

    def stop_background(self) -> None:
        """Send no more requests for which nobody waits."""
        if self._context is not None:
            self._context.background.stop()

    def notify_closing(self) -> None:
        """Answer the calls under way with a message that the server is being restarted."""
        self.middleware.notify_closing()

    def _build_app(
        self, tokens: TokenFile | None, jwt_verifier: JwtVerifier | None, hosts: tuple[str, ...]
    ) -> ASGIApp:
        server = build_server(self._open, self._settings.rate_limit, sandbox=self._settings.sandbox)
        server.middleware.append(self.middleware)
        # Without this, the protocol's library lists the tools at every call, to check its headers.
        server.get_tool_input_schema = {
            definition.name: definition.tool().input_schema for definition in registry.TOOLS
        }.get
        verifier = CallerTokenVerifier(tokens, jwt_verifier, self._settings)
        app: ASGIApp = server.streamable_http_app(
            streamable_http_path=PATH,
            stateless_http=True,
            max_request_body_size=MAX_BODY_BYTES,
            transport_security=TransportSecuritySettings(allowed_hosts=list(hosts)),
            auth=verifier.auth_settings(),
            token_verifier=verifier if tokens or jwt_verifier else None,
            custom_starlette_routes=[
                Route("/healthz", _answer_liveness, methods=["GET"]),
                Route("/readyz", self._answer_readiness, methods=["GET"]),
            ],
        )
        manager = server.session_manager
        exchanges = SingleExchangeApp(server, lambda: self._context, manager.asgi_app)
        manager.asgi_app = RequestBodyLimitMiddleware(exchanges, MAX_BODY_BYTES)
        if tokens and not jwt_verifier:  # with OAuth the library has added these two already
            backend = BearerAuthBackend(verifier)
            app = AuthenticationMiddleware(AuthContextMiddleware(app), backend)
        return app

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[AppContext]:
        async with self._open_context() as context:
            self._context = context
            yield context

    async def _answer_readiness(self, _request: Request) -> Response:
        """Say whether calls can be answered in full; the reply holds no secret."""
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

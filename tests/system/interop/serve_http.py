"""The server over streamable HTTP on this machine, for peers that speak nothing else.

Prints its address once it listens; SIGTERM ends it.
"""

import sys
from functools import partial
from socket import socket

import anyio
import uvicorn

from verify_mcp.cli.sandbox import sandbox
from verify_mcp.context import open_context
from verify_mcp.server.server import build_server


class Announced(uvicorn.Server):
    """A server that says where it listens."""

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        sys.stdout.write(f"http://127.0.0.1:{port}/mcp\n")
        sys.stdout.flush()


async def main() -> None:
    settings, app = sandbox()
    server = build_server(partial(open_context, settings, app=app), sandbox=True)
    web = server.streamable_http_app()
    config = uvicorn.Config(web, host="127.0.0.1", port=0, log_level="warning")
    await Announced(config).serve()


if __name__ == "__main__":
    anyio.run(main)

"""Serves the emulator on a loopback port, for the command line and for tests."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING

from .auth import SANDBOX_AUTH_ID, SANDBOX_AUTH_TOKEN

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import AsyncGenerator, Callable, Generator

    import uvicorn

    from .app import Emulator


def loopback(host: str) -> str:
    """A loopback address for `host`. Raises ValueError for any other address."""
    from ipaddress import ip_address

    try:
        is_loopback = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise ValueError(f"{host!r} is not a loopback address. Write 127.0.0.1, ::1 or localhost.")
    return "127.0.0.1" if host == "localhost" else host


def print_address(base_url: str) -> None:
    """Print the emulator's credentials and its address on standard error."""
    sys.stderr.write(
        f"Pretend Verify API (auth id {SANDBOX_AUTH_ID}, auth token {SANDBOX_AUTH_TOKEN}) on "
        f"{base_url}\n"
    )
    sys.stderr.flush()


def run(
    emulator: Emulator,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    on_bound: Callable[[str], None] = print_address,
) -> None:
    """Serve until interrupted; `on_bound` gets the base URL once connections are accepted."""
    import uvicorn

    with _bound_socket(host, port) as listener, suppress(KeyboardInterrupt):
        server = uvicorn.Server(_config(emulator))
        on_bound(_base_url(listener))
        server.run(sockets=[listener])


@asynccontextmanager
async def serve(emulator: Emulator, host: str = "127.0.0.1", port: int = 0) -> AsyncGenerator[str]:
    """Serve in the running event loop and yield the base URL; signal handlers stay as they were."""
    import asyncio

    with _bound_socket(host, port) as listener:
        server = _quiet_server(emulator)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        # A listening socket queues connections, so clients need not wait for the server's start.
        try:
            yield _base_url(listener)
        finally:
            await _stop(server, task)


async def _stop(server: uvicorn.Server, task: asyncio.Task[None]) -> None:
    server.should_exit = True
    for unfinished in list(server.server_state.tasks):
        unfinished.cancel()
    await task


def _quiet_server(emulator: Emulator) -> uvicorn.Server:
    import uvicorn

    class QuietServer(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Generator[None]:
            yield

    return QuietServer(_config(emulator))


def _config(emulator: Emulator) -> uvicorn.Config:
    import uvicorn

    # Some faults are exceptions on purpose, and their tracebacks are no use in a log.
    return uvicorn.Config(
        emulator,
        interface="asgi3",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        date_header=False,  # the emulator's clock gives the date
        timeout_graceful_shutdown=1,
    )


@contextmanager
def _bound_socket(host: str, port: int) -> Generator[socket.socket]:
    import socket

    address = loopback(host)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # With IPPROTO_TCP, because asyncio sets TCP_NODELAY only on such sockets: without it a reply
    # waits up to 40 ms for the acknowledgement of its headers.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(2048)
        yield listener


def _base_url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

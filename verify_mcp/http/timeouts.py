"""Deadlines for HTTP requests and TLS handshakes, and a bound on the number of connections.

uvicorn counts a connection once its TLS handshake is done, waits a minute for that, and for ever
for the rest of a request. Here connections are counted and timed from accept on. There are never
more of them than the process may open files, and a request must be complete within
REQUEST_SECONDS, whatever its sender does.
"""

import asyncio
import logging
import socket
import ssl
import sys
from collections.abc import Callable
from contextlib import suppress

import anyio
import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_SECONDS = 15.0
"""Seconds for a request to arrive, from its connection or its first byte to its last."""
HANDSHAKE_SECONDS = 5.0
"""Seconds for a TLS handshake, from accept on, and for the end of TLS."""
MAX_CONNECTIONS = 1000
RESERVED_FILES = 128
"""Files left for the database, requests to the API and logs; at most half of all."""
ACCEPT_PAUSE = 0.2
"""Seconds until the next try when no connection can be accepted."""
WARNING_PAUSE = 60.0
"""Seconds between two log lines about that."""
_OUT_OF_FILES = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n"
    b"content-length: 0\r\n\r\n"
)

logger = logging.getLogger(__name__)


class DeadlineProtocol(H11Protocol):
    """One connection, with a deadline on the arrival of each request."""

    request_seconds = REQUEST_SECONDS
    handshake_seconds = HANDSHAKE_SECONDS
    max_connections = MAX_CONNECTIONS
    _deadline: asyncio.TimerHandle | None = None
    _connections: "set[DeadlineProtocol] | None" = None

    def count_connection(self, connections: "set[DeadlineProtocol]") -> None:
        """Add this connection to `connections` until it is closed."""
        connections.add(self)
        self._connections = connections

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as the parent: a Transport it is
        """Start the first deadline."""
        super().connection_made(transport)
        self._update_deadline(begun=True)

    def data_received(self, data: bytes) -> None:
        """Parse some bytes, and start or cancel the deadline."""
        super().data_received(data)
        self._update_deadline(begun=True)

    def on_response_complete(self) -> None:
        """Start the deadline of the next request if a part of it is there already."""
        super().on_response_complete()
        self._update_deadline(begun=False)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the deadline, and count the connection no more."""
        self._cancel_deadline()
        if self._connections is not None:
            self._connections.discard(self)
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Close after the response, and at once while a request's body is incomplete."""
        super().shutdown()
        if self.conn.their_state is h11.SEND_BODY:
            self.transport.close()

    def _update_deadline(self, *, begun: bool) -> None:
        """Start the deadline while a request is incomplete, and cancel it once it is complete.

        `begun` says that an incomplete head counts as a request.
        """
        state = self.conn.their_state
        incomplete = state is h11.SEND_BODY or (begun and state is h11.IDLE)
        if not incomplete or self.transport.is_closing():
            self._cancel_deadline()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.request_seconds, self._abort)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _abort(self) -> None:
        self._deadline = None
        self.transport.abort()


class Acceptor:
    """Accepts the connections of one listening socket, with TLS if there is a context for it.

    When there are too many connections, the oldest unfinished handshake is ended. When there is
    none, the new connection is closed; without TLS, a 503 is sent first.
    """

    def __init__(
        self,
        listener: socket.socket,
        new_protocol: Callable[[], DeadlineProtocol],
        tls: ssl.SSLContext | None,
    ) -> None:
        listener.settimeout(0)
        self._listener = listener
        self._new_protocol = new_protocol
        self._tls = tls
        self._connections: set[DeadlineProtocol] = set()
        self._handshakes: dict[DeadlineProtocol, asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None
        self._next_warning = 0.0

    def start(self) -> None:
        """Accept connections from now on."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Accept nothing more, and end the handshakes that are not finished."""
        tasks = {*self._handshakes.values(), *([self._task] if self._task else [])}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(self._listener)
            except OSError as error:  # out of files or memory, or the connection is closed already
                await self._back_off(error)
            else:
                self._accept(connection)
                await asyncio.sleep(0)  # otherwise many connections at once would block the loop

    async def _back_off(self, error: OSError) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._next_warning:
            self._next_warning = now + WARNING_PAUSE
            logger.warning("Connections cannot be accepted at the moment: %s.", error.strerror)
        self._end_oldest_handshake()
        await asyncio.sleep(ACCEPT_PAUSE)

    def _accept(self, connection: socket.socket) -> None:
        protocol = self._new_protocol()
        full = len(self._connections) >= allowed_connections(protocol.max_connections)
        if full and not self._end_oldest_handshake():
            _refuse(connection, b"" if self._tls else _OUT_OF_FILES)
            return
        protocol.count_connection(self._connections)
        self._handshakes[protocol] = asyncio.create_task(self._connect(connection, protocol))

    def _end_oldest_handshake(self) -> bool:
        """End the oldest handshake, and return whether there was one."""
        if self._tls is None or not self._handshakes:
            return False
        protocol = next(iter(self._handshakes))
        self._connections.discard(protocol)
        self._handshakes.pop(protocol).cancel()
        return True

    async def _connect(self, connection: socket.socket, protocol: DeadlineProtocol) -> None:
        """Attach the connection to its protocol after its handshake."""
        connected = False
        try:
            with suppress(OSError):  # not TLS, too slow, or gone
                async with asyncio.timeout(protocol.handshake_seconds):
                    await self._handshake(connection, protocol)
                connected = True
        finally:
            self._handshakes.pop(protocol, None)
            if not connected:
                self._connections.discard(protocol)

    async def _handshake(self, connection: socket.socket, protocol: DeadlineProtocol) -> None:
        seconds = protocol.handshake_seconds if self._tls else None
        if self._tls is not None:
            try:
                # A TLS transport takes 300 KiB, so it is made only after the first byte arrived.
                await anyio.wait_readable(connection)
            except BaseException:
                connection.close()
                raise
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: protocol,
            connection,
            ssl=self._tls,
            ssl_handshake_timeout=seconds,
            ssl_shutdown_timeout=seconds,
        )


def allowed_connections(maximum: int) -> int:
    """How many connections the process's limit on open files allows, at most `maximum`."""
    if sys.platform == "win32":
        return maximum
    import resource

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return maximum
    return min(maximum, max(files - RESERVED_FILES, files // 2))


def _refuse(connection: socket.socket, reply: bytes) -> None:
    """Send a reply without waiting for its receiver, and close the connection."""
    with connection, suppress(OSError):
        connection.settimeout(0)
        connection.send(reply)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(65536)  # unread bytes would make the system throw the reply away

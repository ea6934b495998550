"""HTTP connections that are given only so long, and only so many of them.

The server library waits for ever for a request that was begun. Here the whole request must have
come within a time, whatever its sender does, and connections beyond a number are told so at once.
"""

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

RECEIPT_SECONDS = 15.0
"""How long a request may take to arrive, from its connection or its first byte to its last."""
MOST_CONNECTIONS = 1000
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n"
    b"content-length: 0\r\n\r\n"
)


class PatientProtocol(H11Protocol):
    """One connection, with a deadline on the arrival of each request."""

    receipt_seconds = RECEIPT_SECONDS
    most_connections = MOST_CONNECTIONS
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as the parent: a Transport it is
        """Take the connection, if there is room."""
        super().connection_made(transport)
        if len(self.connections) > self.most_connections:
            transport.write(_FULL)
            transport.close()
        else:
            self._watch(begun=True)

    def data_received(self, data: bytes) -> None:
        """Take some bytes."""
        super().data_received(data)
        self._watch(begun=True)

    def on_response_complete(self) -> None:
        """Go on to the next request, of which some may have come already."""
        super().on_response_complete()
        self._watch(begun=False)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._rest()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """End when the response is given; a request that has not come by now never will."""
        super().shutdown()
        if self.conn.their_state is h11.SEND_BODY:
            self.transport.close()

    def _watch(self, *, begun: bool) -> None:
        """Hold the deadline while a request is coming in, and drop it once it is there.

        `begun` says that a connection without a whole head of a request counts as such.
        """
        state = self.conn.their_state
        coming = state is h11.SEND_BODY or (begun and state is h11.IDLE)
        if not coming or self.transport.is_closing():
            self._rest()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.receipt_seconds, self._cut)

    def _rest(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _cut(self) -> None:
        self._deadline = None
        self.transport.abort()

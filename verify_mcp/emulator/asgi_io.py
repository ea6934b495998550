"""Reads requests from ASGI and sends replies to it, with the faults of a network."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from .responses import Delivery, Response

if TYPE_CHECKING:
    from .options import Options

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Sleep = Callable[[float], Awaitable[None]]

NO_CONTENT = 204


@dataclass(frozen=True)
class Request:
    """A request without its body; `path` keeps its percent-escapes."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]


def request(scope: Scope) -> Request:
    """The request of an HTTP scope; repeated headers are joined with a comma."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    query = parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    return Request(scope["method"], path, query, headers)


async def drain(receive: Receive) -> None:
    """Read the body to its end, so that the next request on the connection can be parsed."""
    while (await receive()).get("more_body"):
        pass


async def lifespan(receive: Receive, send: Send) -> None:
    """Confirm startup and shutdown: there is nothing to open or close."""
    kind = ""
    while kind != "lifespan.shutdown":
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})


@dataclass(frozen=True)
class AsgiIo:
    """The two ASGI channels of one request, and a sleep for slow replies."""

    receive: Receive
    send: Send
    sleep: Sleep

    async def deliver(self, reply: Response, behaviour: Options) -> None:
        """Send the reply by its `delivery`, unless the client disconnects."""
        if reply.delivery is Delivery.HANG and await self._disconnects_during(
            behaviour.hang_seconds
        ):
            return
        await self._send_head(reply)
        if reply.stream is not None:
            await self._send_stream(reply.stream())
        elif reply.delivery is Delivery.SHORT:
            await self._send_part(reply.body[: len(reply.body) // 2])
        elif reply.delivery is Delivery.RESET:
            await self._send_part(reply.body[: len(reply.body) // 2], more=True)
            raise ConnectionResetError("the pretend connection was reset")
        elif reply.delivery is Delivery.DRIP:
            await self._send_drops(reply.body, behaviour.drip_seconds)
        else:
            await self._send_part(reply.body)

    async def _send_head(self, reply: Response) -> None:
        headers = [(name.encode(), value.encode()) for name, value in reply.headers]
        if reply.stream is None and reply.status != NO_CONTENT:
            headers.append((b"content-length", b"%d" % len(reply.body)))
        await self.send({"type": "http.response.start", "status": reply.status, "headers": headers})

    async def _send_part(self, body: bytes, *, more: bool = False) -> None:
        await self.send({"type": "http.response.body", "body": body, "more_body": more})

    async def _send_stream(self, chunks: Iterable[bytes]) -> None:
        for chunk in chunks:
            await self._send_part(chunk, more=True)
        await self._send_part(b"")

    async def _send_drops(self, body: bytes, seconds: float) -> None:
        for index in range(len(body)):
            if await self._disconnects_during(seconds):
                return
            await self._send_part(body[index : index + 1], more=True)
        await self._send_part(b"")

    async def _disconnects_during(self, seconds: float) -> bool:
        import asyncio

        async def pause() -> None:
            await self.sleep(seconds)

        async def disconnect() -> None:
            while (await self.receive())["type"] != "http.disconnect":
                pass

        pause_task, disconnect_task = (
            asyncio.create_task(pause()),
            asyncio.create_task(disconnect()),
        )
        try:
            await asyncio.wait({pause_task, disconnect_task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            pause_task.cancel()
            disconnect_task.cancel()
        return disconnect_task.done() and not disconnect_task.cancelled()

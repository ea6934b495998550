"""Requests off the ASGI wire and replies onto it, in every manner a network knows."""

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
    """The head of a request, its path as it was written."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]


def request(scope: Scope) -> Request:
    """The request of an HTTP scope; later headers of a name are joined to the first."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    query = parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    return Request(scope["method"], path, query, headers)


async def drain(receive: Receive) -> None:
    """Read the body to its end, so that the next request on the connection is understood."""
    while (await receive()).get("more_body"):
        pass


async def lifespan(receive: Receive, send: Send) -> None:
    """Agree to whatever the server announces: there is nothing to open or close."""
    kind = ""
    while kind != "lifespan.shutdown":
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})


@dataclass(frozen=True)
class AsgiIo:
    """One connection's two ends, and a way to be slow."""

    receive: Receive
    send: Send
    sleep: Sleep

    async def deliver(self, reply: Response, behaviour: Options) -> None:
        """Send the reply in its manner, unless the client has left."""
        if reply.delivery is Delivery.HANG and await self._left_during(behaviour.hang_seconds):
            return
        await self._start(reply)
        if reply.stream is not None:
            await self._stream(reply.stream())
        elif reply.delivery is Delivery.SHORT:
            await self._part(reply.body[: len(reply.body) // 2])
        elif reply.delivery is Delivery.RESET:
            await self._part(reply.body[: len(reply.body) // 2], more=True)
            raise ConnectionResetError("the pretend connection was reset")
        elif reply.delivery is Delivery.DRIP:
            await self._drip(reply.body, behaviour.drip_seconds)
        else:
            await self._part(reply.body)

    async def _start(self, reply: Response) -> None:
        headers = [(name.encode(), value.encode()) for name, value in reply.headers]
        if reply.stream is None and reply.status != NO_CONTENT:
            headers.append((b"content-length", b"%d" % len(reply.body)))
        await self.send({"type": "http.response.start", "status": reply.status, "headers": headers})

    async def _part(self, body: bytes, *, more: bool = False) -> None:
        await self.send({"type": "http.response.body", "body": body, "more_body": more})

    async def _stream(self, chunks: Iterable[bytes]) -> None:
        for chunk in chunks:
            await self._part(chunk, more=True)
        await self._part(b"")

    async def _drip(self, body: bytes, seconds: float) -> None:
        for index in range(len(body)):
            if await self._left_during(seconds):
                return
            await self._part(body[index : index + 1], more=True)
        await self._part(b"")

    async def _left_during(self, seconds: float) -> bool:
        import asyncio

        async def pause() -> None:
            await self.sleep(seconds)

        async def departure() -> None:
            while (await self.receive())["type"] != "http.disconnect":
                pass

        pausing, leaving = asyncio.create_task(pause()), asyncio.create_task(departure())
        try:
            await asyncio.wait({pausing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            pausing.cancel()
            leaving.cancel()
        return leaving.done() and not leaving.cancelled()

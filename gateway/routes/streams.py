"""`WS /ws/events` and `WS /ws/detections`."""

import time
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query, WebSocket

from gateway import cursor
from gateway.feed import feed
from gateway.hub import Hub
from gateway.job import is_upload
from gateway.log import LogUnavailable, Position, PositionGone, Record
from gateway.services import Services
from gateway.socket_client import HEARTBEAT_SECONDS, POLICY, TRY_LATER, SocketClient

MAX_CLIENTS: Final = 256
_QUEUE: Final = 2000

_encode = msgspec.json.Encoder().encode
_any = msgspec.json.Decoder(dict[str, Any])


def router(services: Services) -> APIRouter:
    routes = APIRouter()
    clients: set[int] = set()

    @routes.websocket("/ws/events")
    async def events(
        socket: WebSocket,
        camera: Annotated[str | None, Query(max_length=128)] = None,
        kind: Annotated[str | None, Query(max_length=64)] = None,
        cursor: Annotated[str | None, Query()] = None,
    ) -> None:
        stream = _Stream(services, services.events, "event", socket, camera, kind)
        await stream.run(clients, cursor)

    @routes.websocket("/ws/detections")
    async def detections(socket: WebSocket, camera: Annotated[str | None, Query(max_length=128)] = None) -> None:
        stream = _Stream(services, services.detections, "detections", socket, camera, None)
        await stream.run(clients, None)

    return routes


class _Stream:
    """Messages are JSON: `type` is hello, event or detections, heartbeat, expired or error; `cursor` is the position
    behind the message: whoever comes back with it gets exactly what follows. What belongs to uploaded files comes only
    to those who ask for it by `camera`."""

    def __init__(
        self, services: Services, hub: Hub, name: str, socket: WebSocket, camera: str | None, kind: str | None
    ) -> None:
        self._services, self._hub, self._name, self._socket = services, hub, name, socket
        self._key = None if camera is None else camera.encode()
        self._kind = kind
        self._client = SocketClient(socket)
        self._position: Position = {}

    async def run(self, clients: set[int], cursor_text: str | None) -> None:
        await self._socket.accept(subprotocol="bearer" if "bearer" in self._socket.scope["subprotocols"] else None)
        if len(clients) >= MAX_CLIENTS:
            await self._client.close(TRY_LATER, "too many clients; try again later")
            return
        clients.add(id(self))
        try:
            await self._start(cursor_text)
            await self._client.serve(self._pump(), self._heartbeat)
        except cursor.BadCursor as error:
            await self._client.send(_encode({"type": "error", "detail": str(error)}))
            await self._client.close(POLICY, str(error))
        except LogUnavailable as error:
            await self._client.send(_encode({"type": "error", "detail": f"the log does not answer: {error}"}))
            await self._client.close(TRY_LATER, "the log does not answer")
        finally:
            clients.discard(id(self))

    async def _start(self, cursor_text: str | None) -> None:
        log, topic = self._services.log, self._hub.topic
        if not cursor_text:
            self._position = await log.ends(topic)
            return
        starts, ends = await log.starts(topic), await log.ends(topic)
        try:
            self._position = cursor.checked(cursor_text, topic, starts, ends)
        except PositionGone as error:
            asked = cursor.decode(cursor_text, topic, len(ends))
            self._position = {p: max(offset, starts[p]) for p, offset in asked.items()}
            await self._client.send(_encode({"type": "expired", "detail": f"deleted by retention: {error}"}))

    async def _pump(self) -> None:
        hello = {"type": "hello", "cursor": self._cursor(), "heartbeat_seconds": HEARTBEAT_SECONDS}
        await self._client.send(_encode(hello))
        # the position read at the start is where a new client begins too: nothing falls between hello and the feed
        async for batch in feed(self._services.log, self._hub, dict(self._position), _QUEUE):
            for record in batch:
                self._position[record.partition] = record.offset + 1
                message = self._message(record)
                if message is not None:
                    await self._client.send(message)

    def _message(self, record: Record) -> bytes | None:
        if record.value is None or (is_upload(record.key) if self._key is None else record.key != self._key):
            return None
        try:
            data = _any.decode(record.value)
            timing = record.headers.get("timing")
            message: dict[str, Any] = {"type": self._name, "cursor": self._cursor(), "data": msgspec.Raw(record.value)}
            if timing is not None:
                message["timing"] = _any.decode(timing)
        except msgspec.MsgspecError:
            return None
        return _encode(message) if self._kind is None or data.get("kind") == self._kind else None

    def _heartbeat(self) -> bytes:
        return _encode({"type": "heartbeat", "cursor": self._cursor(), "time": time.time()})

    def _cursor(self) -> str:
        return cursor.encode(self._hub.topic, self._position)

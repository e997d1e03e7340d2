"""`WS /ws/video/{camera}`: access units as they lie in the log, for a decoder in the browser."""

import asyncio
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Path, WebSocket

from gateway.log import LogUnavailable
from gateway.services import Services
from gateway.socket_client import TRY_LATER, SocketClient
from gateway.video import Viewer
from schemas.messages import AccessUnit

MAX_VIEWERS: Final = 128

_encode = msgspec.json.Encoder().encode


def message_of(unit: AccessUnit) -> bytes:
    """One line of JSON, then the access unit. Nanoseconds are text: JavaScript's numbers end at 2^53."""
    about = {
        "captured_ns": str(unit.captured_ns),
        "keyframe": unit.keyframe,
        "codec": unit.codec,
        "width": unit.width,
        "height": unit.height,
        "session": unit.session,
        "gop": unit.gop,
        "index": unit.index,
    }
    return _encode(about) + b"\n" + unit.data


def router(services: Services) -> APIRouter:
    routes = APIRouter()
    seats = asyncio.Semaphore(MAX_VIEWERS)

    @routes.websocket("/ws/video/{camera}")
    async def video(socket: WebSocket, camera: Annotated[str, Path(max_length=128)]) -> None:
        await socket.accept(subprotocol="bearer" if "bearer" in socket.scope["subprotocols"] else None)
        client = SocketClient(socket)
        if seats.locked():
            await client.close(TRY_LATER, "too many viewers; try again later")
            return
        async with seats:
            try:
                async with services.channels.watch(camera) as viewer:
                    await client.serve(_pump(client, viewer), lambda: b'{"type":"heartbeat"}')
            except LogUnavailable as error:
                await client.close(TRY_LATER, str(error))

    return routes


async def _pump(client: SocketClient, viewer: Viewer) -> None:
    while True:
        await client.send(message_of(await viewer.take()), binary=True)

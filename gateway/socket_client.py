"""One WebSocket client: sends that cannot hang, heartbeats, and one end whatever the reason."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from starlette.websockets import WebSocket, WebSocketDisconnect

from gateway.hub import TooSlow
from gateway.log import LogUnavailable, PositionGone
from runtime import metrics
from runtime.logging import logger

NORMAL: Final = 1000
POLICY: Final = 1008
TRY_LATER: Final = 1013
HEARTBEAT_SECONDS: Final = 5.0
SEND_SECONDS: Final = 10.0


class _Gone(Exception):
    """The client has left."""


class SocketClient:
    def __init__(self, socket: WebSocket, send_seconds: float = SEND_SECONDS) -> None:
        self._socket, self._send_seconds = socket, send_seconds
        self._sending = asyncio.Lock()
        self._sent_at = 0.0

    async def send(self, message: bytes, binary: bool = False) -> None:
        """Raises TooSlow when the client has taken nothing for `send_seconds`."""
        try:
            async with asyncio.timeout(self._send_seconds):
                async with self._sending:
                    if binary:
                        await self._socket.send_bytes(message)
                    else:
                        await self._socket.send_text(message.decode())
        except TimeoutError as error:
            raise TooSlow from error
        except (WebSocketDisconnect, RuntimeError, OSError) as error:
            # starlette answers a send after the close with a RuntimeError
            raise _Gone from error
        self._sent_at = asyncio.get_running_loop().time()
        metrics.GATEWAY_SENT.inc()

    async def serve(self, pump: Coroutine[Any, Any, None], heartbeat: Callable[[], bytes]) -> None:
        """Runs `pump` until it ends, the client leaves, or the client turns out too slow."""
        code, reason = NORMAL, ""
        metrics.GATEWAY_CLIENTS.inc()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._until_left())
                tasks.create_task(self._beat(heartbeat))
                tasks.create_task(pump)
        except* _Gone:
            pass
        except* TooSlow:
            metrics.GATEWAY_DROPPED.inc()
            code, reason = TRY_LATER, "too slow: connect again with the last cursor"
        except* PositionGone:
            code, reason = TRY_LATER, "records were deleted before they were sent: connect again"
        except* LogUnavailable:
            code, reason = TRY_LATER, "the log does not answer: connect again"
        finally:
            metrics.GATEWAY_CLIENTS.dec()
        await self.close(code, reason)

    async def close(self, code: int, reason: str = "") -> None:
        try:
            async with asyncio.timeout(self._send_seconds):
                await self._socket.close(code, reason)
        except (TimeoutError, RuntimeError, WebSocketDisconnect, OSError):
            logger("gateway.socket").debug("closed by the client first")

    async def _until_left(self) -> None:
        """What clients say is not listened to, but must be read, or their leaving goes unseen."""
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                raise _Gone

    async def _beat(self, heartbeat: Callable[[], bytes]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(max(0.05, self._sent_at + HEARTBEAT_SECONDS - loop.time()))
            if loop.time() - self._sent_at >= HEARTBEAT_SECONDS:
                await self.send(heartbeat())

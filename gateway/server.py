"""The gateway as a process: the application on a socket of its own."""

import asyncio
import socket
from typing import Final

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from runtime.config import Settings

_GRACE_SECONDS: Final = 3
_BACKLOG: Final = 256
_FLUSH_SECONDS: Final = 5.0


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """A connection whose client takes nothing more is cut: a closed transport would wait for ever to be emptied."""

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        super().on_task_complete(task)
        self.loop.call_later(_FLUSH_SECONDS, self._cut)

    def _cut(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.abort()


def bind(settings: Settings) -> socket.socket:
    """The listening socket, so that a port chosen by the system (0) is known before the start. Raises OSError."""
    family = socket.AF_INET6 if ":" in settings.http_host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((settings.http_host, settings.http_port))
        listening.listen(_BACKLOG)
        listening.set_inheritable(False)
    except OSError:
        listening.close()
        raise
    return listening


def make_server(app: FastAPI) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            ws=WebSocketProtocol,
            ws_per_message_deflate=False,  # video is compressed already, and detections are small
            ws_max_size=64 * 1024,  # clients have nothing to say
            ws_ping_interval=20,
            ws_ping_timeout=20,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            h11_max_incomplete_event_size=64 * 1024,
        )
    )


def serve(app: FastAPI, listening: socket.socket) -> None:
    """Until SIGINT or SIGTERM."""
    make_server(app).run(sockets=[listening])

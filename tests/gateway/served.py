"""The gateway on a real socket, in a thread of this process."""

import asyncio
import threading
from typing import Self

import httpx
from fastapi import FastAPI

from gateway.app import build_app
from gateway.models import Models
from gateway.server import bind, make_server
from runtime.config import Settings


class Served:
    """`settings.http_port` 0 picks a free port; `restart` keeps it."""

    def __init__(self, settings: Settings, models: Models | None = None) -> None:
        self._settings, self._models = settings, models
        self.port = settings.http_port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def start(self) -> Self:
        listening = bind(self._settings.model_copy(update={"http_port": self.port}))
        self.port = listening.getsockname()[1]
        self.app: FastAPI = build_app(self._settings, models=self._models)
        self._server = make_server(self.app)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._server.serve(sockets=[listening])))
        self._thread.start()
        return self

    def until_ready(self, seconds: float = 30) -> Self:
        transport = httpx.HTTPTransport(retries=3)
        with httpx.Client(base_url=self.url, transport=transport, timeout=seconds) as client:
            for _ in range(int(seconds / 0.05)):
                if client.get("/readyz").status_code == 200:
                    return self
                threading.Event().wait(0.05)
        raise TimeoutError("the gateway did not become ready")

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive()

    def restart(self) -> Self:
        self.stop()
        return self.start().until_ready()

    def connections(self) -> int:
        return len(self._server.server_state.connections)

    def __enter__(self) -> Self:
        return self.start().until_ready()

    def __exit__(self, *_: object) -> None:
        self.stop()

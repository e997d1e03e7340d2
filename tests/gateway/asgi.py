"""Drives the application in this process, without sockets."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Self

import httpx
from fastapi import FastAPI

from gateway.app import build_app
from gateway.memory_log import MemoryLog
from gateway.models import KnownModels
from runtime.config import Settings
from tests.gateway.writer import Writer

BASE = "http://127.0.0.1"


class Closed(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code, self.reason = code, reason


class Socket:
    """A WebSocket client that speaks ASGI. `stalled` keeps what the server sends from being taken."""

    def __init__(self, app: FastAPI, path: str, headers: dict[str, str] | None = None) -> None:
        raw, _, query = path.partition("?")
        fields = {"host": "127.0.0.1", **(headers or {})}
        protocols = [p.strip() for p in fields.get("sec-websocket-protocol", "").split(",") if p.strip()]
        self._scope = {
            "type": "websocket",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": raw,
            "raw_path": raw.encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in fields.items()],
            "client": ("127.0.0.1", 5),
            "server": ("127.0.0.1", 80),
            "subprotocols": protocols,
            "state": {},
        }
        self._app = app
        self._to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._from_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.subprotocol: str | None = None

    async def _send(self, message: Any) -> None:
        if message["type"] == "websocket.send":
            await self.flowing.wait()
        await self._from_app.put(message)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._app(self._scope, self._to_app.get, self._send))
        await self._to_app.put({"type": "websocket.connect"})
        message = await asyncio.wait_for(self._from_app.get(), 5)
        if message["type"] != "websocket.accept":
            await asyncio.wait_for(self._task, 5)
            raise Closed(message.get("code", 0), message.get("reason", ""))
        self.subprotocol = message.get("subprotocol")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._to_app.put({"type": "websocket.disconnect", "code": 1001})
        self.flowing.set()
        await asyncio.wait_for(self._task, 10)

    async def raw(self, timeout: float = 5) -> dict[str, Any]:
        message = await asyncio.wait_for(self._from_app.get(), timeout)
        if message["type"] == "websocket.close":
            raise Closed(message.get("code", 1000), message.get("reason", ""))
        return message

    async def json(self, timeout: float = 5) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads((await self.raw(timeout))["text"])
        return answer

    async def of_type(self, kind: str, timeout: float = 5) -> dict[str, Any]:
        while True:
            message = await self.json(timeout)
            if message["type"] == kind:
                return message


class Gateway:
    def __init__(self, app: FastAPI, log: MemoryLog, http: httpx.AsyncClient, models: KnownModels) -> None:
        self.app, self.log, self.http, self.models = app, log, http, models
        self.writer = Writer(log.append)

    def socket(self, path: str, headers: dict[str, str] | None = None) -> Socket:
        return Socket(self.app, path, headers)

    async def until_ready(self) -> None:
        async with asyncio.timeout(30):
            while (await self.http.get("/readyz")).status_code != 200:  # noqa: ASYNC110 as any client would ask
                await asyncio.sleep(0.01)

    async def settle(self) -> None:
        """Lets the followers take what was just written."""
        for _ in range(20):
            await asyncio.sleep(0)


def settings(tmp_path: Path, **values: Any) -> Settings:
    return Settings(_env_file=None, uploads_dir=tmp_path / "uploads", **values)


@contextlib.asynccontextmanager
async def gateway(
    made: Settings, log: MemoryLog | None = None, ready: bool = True, clock: Callable[[], float] = time.time
) -> AsyncIterator[Gateway]:
    memory = log if log is not None else MemoryLog()
    models = KnownModels("square-finder", "other")
    app = build_app(made, log=memory, models=models, clock=clock)
    async with app.router.lifespan_context(app):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as http:
            found = Gateway(app, memory, http, models)
            if ready:
                await found.until_ready()
                await found.settle()
            yield found

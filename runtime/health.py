"""`/livez`, `/readyz` and `/metrics` of a process without a web framework of its own."""

import asyncio
from collections.abc import Callable

from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from runtime.metrics import REGISTRY

Probe = Callable[[], str]
"""Returns what is wrong; empty when all is well."""


class HealthServer:
    """A few lines of HTTP/1.0 on the process's own loop: if the loop hangs, so do the probes, as they should."""

    def __init__(self, host: str, port: int, live: Probe, ready: Probe) -> None:
        self._host, self._port = host, port
        self._probes = {"/livez": live, "/readyz": ready}
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._answer, self._host, self._port, limit=8192)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await asyncio.wait_for(reader.readline(), 5)
            while (await asyncio.wait_for(reader.readline(), 5)).strip():
                pass
            parts = line.decode("latin-1").split()
            path = parts[1].partition("?")[0] if len(parts) >= 2 else ""
            status, kind, body = self._page(path)
            writer.write(
                f"HTTP/1.0 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
            )
            await writer.drain()
        except (TimeoutError, ConnectionError, ValueError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    def _page(self, path: str) -> tuple[str, str, bytes]:
        if path == "/metrics":
            return "200 OK", CONTENT_TYPE_LATEST, generate_latest(REGISTRY)
        probe = self._probes.get(path)
        if probe is None:
            return "404 Not Found", "text/plain", b"not found\n"
        wrong = probe()
        if wrong:
            return "503 Service Unavailable", "text/plain", f"{wrong}\n".encode()
        return "200 OK", "text/plain", b"ok\n"

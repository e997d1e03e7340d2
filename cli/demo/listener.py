"""A WebSocket client that counts what it is told, as a subscriber's program would."""

import threading
import time
from typing import Any

import msgspec
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect


class Listener:
    """Context manager; reads in a thread, reconnects with its cursor when the gateway closes."""

    def __init__(self, gateway_url: str, path: str = "/ws/events") -> None:
        self._url = gateway_url.replace("http", "ws", 1) + path
        self.messages = 0
        self.latency_ms: list[float] = []
        """capture to arrival here, of live events"""
        self._cursor = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def __enter__(self) -> "Listener":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._stop.is_set():
            url = f"{self._url}?cursor={self._cursor}" if self._cursor else self._url
            try:
                with connect(url, open_timeout=5, close_timeout=1) as socket:
                    while not self._stop.is_set():
                        try:
                            self._take(msgspec.json.decode(socket.recv(timeout=0.5)))
                        except TimeoutError:
                            continue
            except (OSError, ConnectionClosed, TimeoutError):
                time.sleep(0.5)

    def _take(self, message: dict[str, Any]) -> None:
        self._cursor = message.get("cursor") or self._cursor
        if message.get("type") == "event":
            self.messages += 1
            self.latency_ms.append(time.time() * 1e3 - message["data"]["captured_ns"] / 1e6)

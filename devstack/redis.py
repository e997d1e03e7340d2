"""Redis, for what may be lost: no persistence."""

from collections.abc import Sequence
from pathlib import Path

import redis

from devstack.service import Service


class Redis(Service):
    hint = "apt-get install redis-server"
    timeout = 60.0

    def __init__(self, directory: Path, port: int, name: str = "redis") -> None:
        super().__init__(name, directory)
        self.port = port

    @property
    def address(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> Sequence[str]:
        return [
            "redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.data),
            "--save", "", "--appendonly", "no", "--daemonize", "no",
        ]  # fmt: skip

    def probe(self) -> None:
        """Set and get."""
        client = redis.Redis(host="127.0.0.1", port=self.port, socket_timeout=2, socket_connect_timeout=2)
        with client:
            client.set("devstack:ready", self.name, ex=10)
            if client.get("devstack:ready") != self.name.encode():
                raise ConnectionError("Redis does not return what was set")

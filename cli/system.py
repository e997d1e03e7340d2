"""The whole product on one machine: devstack's servers and our own processes, started in order, stopped in reverse."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Self

import httpx

from devstack.addresses import Addresses
from devstack.ports import free_port, is_free
from devstack.process import Process
from devstack.prometheus import Prometheus
from devstack.rtsp import Mount
from devstack.stack import Stack
from runtime.kafka import create_topics
from schemas.topics import FRAMES, FRAMES_BATCH, TOPICS

INFLUX_DATABASE: Final = "rewatch"
GATEWAY_PORT: Final = 8080
"""taken when it is free and somebody asked for a lasting address"""

ROLES: Final = ("ingest", "worker", "worker-batch", "recorder", "replayer", "gateway")


class Processes:
    """Our own processes on a running stack. `url` of each by name, once started."""

    def __init__(
        self,
        stack: Stack,
        roles: Sequence[str] = ROLES,
        extra: Mapping[str, str] | None = None,
        gateway_port: int | None = None,
    ) -> None:
        self._stack, self._roles, self._extra = stack, tuple(roles), dict(extra or {})
        self._gateway_port = gateway_port
        self.url: dict[str, str] = {}

    def start(self) -> None:
        """Returns when all of them say that they are ready. Raises devstack.ServiceError."""
        create_topics(self._stack.addresses.kafka_bootstrap, TOPICS, min(3, len(self._stack.brokers)))
        for role in self._roles:
            self.add(role)
        for role in self._roles:
            self._stack.service(role).wait_ready()
        if "prometheus" in self._stack.services:
            prometheus = self._stack.service("prometheus")
            assert isinstance(prometheus, Prometheus)
            for role, url in self.url.items():
                prometheus.scrape(role, [url.removeprefix("http://")])

    def add(self, role: str) -> None:
        """Starts one more and does not wait for it. `worker-batch` is a worker on the batch topic; `worker-2` one more
        of the same."""
        command = role.partition("-")[0]
        port = self._gateway_port if role == "gateway" and self._gateway_port else free_port()
        url = self.url[role] = f"http://127.0.0.1:{port}"

        def ready() -> None:
            answer = httpx.get(f"{url}/readyz", timeout=2.0, trust_env=False)
            if answer.status_code != 200:
                raise ConnectionError(f"{role}: {answer.text.strip()[:200]}")

        environment = {
            **self._environment(),
            "REWATCH_HTTP_PORT": str(port),
            "REWATCH_WORKER_TOPIC": FRAMES_BATCH.name if role == "worker-batch" else FRAMES.name,
        }
        argv = [sys.executable, "-m", "cli.main", command]
        process = Process(role, argv, self._stack.directory, environment, ready, url)
        process.timeout = 120.0
        self._stack.start(process, wait=False)

    def _environment(self) -> dict[str, str]:
        directory, addresses = self._stack.directory, self._stack.addresses
        found = {
            "REWATCH_KAFKA": addresses.kafka_bootstrap,
            "REWATCH_TRITON": addresses.triton_grpc,
            "REWATCH_TRITON_HTTP": addresses.triton_http,
            "REWATCH_REDIS": addresses.redis_url,
            "REWATCH_STORE": "influxdb" if addresses.influx_url else "duckdb",
            "REWATCH_STORE_DIR": str(directory / "store"),
            "REWATCH_UPLOADS_DIR": str(directory / "uploads"),
            "REWATCH_INFLUXDB": addresses.influx_url or "http://127.0.0.1:8086",
            "REWATCH_INFLUXDB_BUCKET": INFLUX_DATABASE,
        }
        return {**found, **self._extra}


class System:
    """`with System(...) as system:` everything runs inside and is gone outside. Raises devstack.ServiceError."""

    def __init__(
        self,
        directory: Path | None = None,
        servers: Sequence[str] = ("kafka", "triton", "redis", "influxdb"),
        roles: Sequence[str] = ROLES,
        models: Sequence[str] = (),
        model_repository: Path | None = None,
        mounts: Mapping[str, Mount] | None = None,
        extra: Mapping[str, str] | None = None,
        brokers: int = 1,
        lasting: bool = False,
    ) -> None:
        self.stack = Stack(directory, servers, model_repository, models, brokers, mounts=mounts, lasting=lasting)
        self.processes = Processes(self.stack, roles, extra)

    @property
    def addresses(self) -> Addresses:
        return self.stack.addresses

    @property
    def gateway_url(self) -> str:
        return self.processes.url["gateway"]

    def __enter__(self) -> Self:
        self.stack.__enter__()
        try:
            self.processes.start()
        except BaseException:
            self.stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()


def lasting_gateway_port() -> int | None:
    return GATEWAY_PORT if is_free(GATEWAY_PORT) else None

"""The whole product on one machine: devstack's servers and our own processes, started in order, stopped in reverse."""

import contextlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import httpx

from devstack.addresses import Addresses
from devstack.ports import free_port
from devstack.process import Process
from devstack.prometheus import Prometheus
from devstack.rtsp import Mount
from devstack.stack import Stack
from runtime.kafka import create_topics
from schemas.topics import FRAMES, FRAMES_BATCH, TOPICS

INFLUX_DATABASE = "rewatch"


class System:
    """`with System(...) as system:` everything runs inside and is gone outside.

    `store` is influxdb or duckdb; `batch` adds a worker for uploaded files. Raises devstack.ServiceError when
    something does not become ready.
    """

    def __init__(
        self,
        directory: Path | None = None,
        store: str = "influxdb",
        batch: bool = True,
        live: bool = True,
        models: Sequence[str] = (),
        model_repository: Path | None = None,
        recorder: bool = True,
        mounts: Mapping[str, Mount] | None = None,
        prometheus: bool = False,
        extra: Mapping[str, str] | None = None,
        workers: int = 1,
    ) -> None:
        wanted = {"influxdb": store == "influxdb", "rtsp": mounts is not None, "prometheus": prometheus}
        services = ["kafka", "triton", "redis", *(name for name, want in wanted.items() if want)]
        self.stack = Stack(directory, services, model_repository, models, mounts=mounts)
        self._store, self._batch, self._live, self._workers = store, batch, live, workers
        self._recorder = recorder
        self._extra = dict(extra or {})
        self.health: dict[str, str] = {}
        """base URL of every process of ours"""

    @property
    def addresses(self) -> Addresses:
        return self.stack.addresses

    @property
    def gateway_url(self) -> str:
        return self.health["gateway"]

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undo:
            undo.enter_context(self.stack)
            create_topics(self.addresses.kafka_bootstrap, TOPICS, 1)
            self.environment = self._environment()
            self._start("ingest", "ingest")
            if self._live:
                for number in range(self._workers):
                    name = "worker" if number == 0 else f"worker-{number + 1}"
                    self._start(name, "worker", REWATCH_WORKER_TOPIC=FRAMES.name)
            if self._batch:
                self._start("worker-batch", "worker", REWATCH_WORKER_TOPIC=FRAMES_BATCH.name)
            if self._recorder:
                self._start("recorder", "recorder")
            self._start("gateway", "gateway")
            for name in self.health:
                self.stack.service(name).wait_ready()
            if "prometheus" in self.stack.services:
                self._scrape()
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def _start(self, name: str, command: str, **environment: str) -> None:
        port = free_port()
        url = self.health[name] = f"http://127.0.0.1:{port}"

        def ready() -> None:
            httpx.get(f"{url}/readyz", timeout=2.0).raise_for_status()

        process = Process(
            name,
            [sys.executable, "-m", "cli.main", command],
            self.stack.directory,
            {**self.environment, **environment, "REWATCH_HTTP_PORT": str(port)},
            ready,
            url,
        )
        self.stack.start(process, wait=False)

    def _scrape(self) -> None:
        prometheus = self.stack.service("prometheus")
        assert isinstance(prometheus, Prometheus)
        for name, url in self.health.items():
            prometheus.scrape(name, [url.removeprefix("http://")])

    def _environment(self) -> dict[str, str]:
        directory = self.stack.directory
        found = {
            "REWATCH_KAFKA": self.addresses.kafka_bootstrap,
            "REWATCH_TRITON": self.addresses.triton_grpc,
            "REWATCH_TRITON_HTTP": self.addresses.triton_http,
            "REWATCH_REDIS": self.addresses.redis_url,
            "REWATCH_STORE": self._store,
            "REWATCH_STORE_DIR": str(directory / "store"),
            "REWATCH_UPLOADS_DIR": str(directory / "uploads"),
            "REWATCH_INFLUXDB": self.addresses.influx_url,
            "REWATCH_INFLUXDB_BUCKET": INFLUX_DATABASE,
        }
        return {**found, **self._extra}

"""The servers of one system as a context: all started and ready inside, all gone outside."""

import contextlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from devstack.addresses import Addresses
from devstack.cache import cache_directory, is_installed
from devstack.influxdb import install as influxdb_install
from devstack.influxdb.server import InfluxDB
from devstack.kafka import install as kafka_install
from devstack.kafka.broker import Broker, cluster
from devstack.ports import free_port
from devstack.prometheus import Prometheus
from devstack.redis import Redis
from devstack.rtmp import RtmpServer
from devstack.rtsp import Mount, RtspServer
from devstack.service import Service, ServiceError
from devstack.triton import install as triton_install
from devstack.triton.server import Triton

DEFAULT_SERVICES = ("kafka", "triton", "redis", "influxdb")
_MODELS = Path(__file__).resolve().parents[1] / "triton_models"


class Stack:
    """Starts all servers at once, waits until each has been used for real, stops in reverse order.

    `directory` keeps data and logs (without it: a temporary one, removed at the end); `models` of `model_repository`
    (without it: the bundled and the imported ones) are loaded by Triton; `ports` fixes ports by name (`kafka`,
    `triton-http`, `triton-grpc`, `triton-metrics`, `redis`, `influxdb`, `rtsp`, `rtmp`, `prometheus`), all others are
    free ones; `mounts` are the cameras of service `rtsp`; a `lasting` stack costs more in its first minutes and less
    after them. Further services, our own processes among them, are added with `start` while it runs. Entering raises
    ServiceError when a server isn't installed or does not become ready; whatever had been started is stopped before.
    """

    def __init__(
        self,
        directory: Path | None = None,
        services: Sequence[str] = DEFAULT_SERVICES,
        model_repository: Path | None = None,
        models: Sequence[str] = (),
        brokers: int = 1,
        ports: Mapping[str, int] | None = None,
        mounts: Mapping[str, Mount] | None = None,
        cache: Path | None = None,
        lasting: bool = False,
    ) -> None:
        self._makers: dict[str, Callable[[], Sequence[Service]]] = {
            "kafka": self._kafka,
            "triton": self._triton,
            "redis": self._redis,
            "influxdb": self._influxdb,
            "rtsp": self._rtsp,
            "rtmp": self._rtmp,
            "prometheus": self._prometheus,
        }
        if unknown := set(services) - self._makers.keys():
            raise ValueError(f"no such service: {', '.join(sorted(unknown))}; there are {', '.join(self._makers)}")
        self._wanted = tuple(services)
        self._repository, self._models = model_repository, tuple(models)
        self._brokers, self._ports = brokers, dict(ports or {})
        self._mounts = dict(mounts or {})
        self._lasting = lasting
        self._cache = cache or cache_directory()
        self._given_directory, self._directory = directory, directory
        self._services: dict[str, Service] = {}
        self._added: set[str] = set()
        self.addresses = Addresses()

    # -- what others use ------------------------------------------------------------------------------------

    @property
    def directory(self) -> Path:
        """Where data and logs are. Raises ServiceError before the stack was entered."""
        if self._directory is None:
            raise ServiceError("the stack has not been entered")
        return self._directory

    @property
    def services(self) -> Mapping[str, Service]:
        """By name, in the order of their start."""
        return self._services

    def service(self, name: str) -> Service:
        """One of them; `kafka` also names the first broker of three. Raises KeyError."""
        if name == "kafka" and "kafka-1" in self._services:
            name = "kafka-1"
        return self._services[name]

    @property
    def brokers(self) -> list[Broker]:
        return [service for service in self._services.values() if isinstance(service, Broker)]

    @property
    def triton(self) -> Triton:
        """Raises KeyError when the stack has none."""
        service = self._services["triton"]
        assert isinstance(service, Triton)
        return service

    def start(self, service: Service, wait: bool = True) -> None:
        """Add one more service and start it; it is stopped with the stack, before those started earlier.

        Raises ServiceError; the service is then stopped and not part of the stack.
        """
        if service.name in self._services:
            raise ServiceError(f"there is a service {service.name} already")
        self._services[service.name] = service
        self._added.add(service.name)
        try:
            service.start()
            if wait:
                service.wait_ready()
        except BaseException:
            service.stop()
            del self._services[service.name]
            raise

    # -- life -----------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        if self._given_directory is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="rewatch-", ignore_cleanup_errors=True)
            self._directory = Path(self._temporary.name)
        else:
            self._directory = self._given_directory.resolve()
            self._directory.mkdir(parents=True, exist_ok=True)
        try:
            for name in self._wanted:
                for service in self._makers[name]():
                    self._services[service.name] = service
            for service in self._services.values():
                service.start()
            for service in self._services.values():
                service.wait_ready(others=self._services.values())
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop everything in reverse order. What was added later ends together, and so do brokers: the last one alone
        would wait for a quorum."""
        try:
            for name in self._added & self._services.keys():
                self._services[name].begin_stop()
            for service in reversed(list(self._services.values())):
                if isinstance(service, Broker):
                    for broker in self.brokers:
                        broker.begin_stop()
                service.stop()
        finally:  # interrupted a second time: at least ask all of them to go
            for service in self._services.values():
                service.begin_stop()
        self._services.clear()
        self.addresses = Addresses()
        if self._given_directory is None and self._directory is not None:
            with contextlib.suppress(OSError):
                self._temporary.cleanup()
            self._directory = None

    # -- how each is made -----------------------------------------------------------------------------------

    def _port(self, name: str) -> int:
        return self._ports.get(name) or free_port()

    def _found(self, target: Path, what: str) -> Path:
        if not is_installed(target):
            raise ServiceError(f"{what} is not installed in {self._cache}; run: rewatch setup")
        return target

    def _set(self, **addresses: str) -> None:
        known = {name: getattr(self.addresses, name) for name in self.addresses.__struct_fields__}
        self.addresses = Addresses(**{**known, **addresses})

    def _kafka(self) -> list[Broker]:
        jars = self._found(kafka_install.jar_folder(self._cache), "Kafka")
        brokers = cluster(self.directory, jars, self._brokers, self._ports.get("kafka"))
        for broker in brokers:
            broker.lasting = self._lasting
        self._set(kafka_bootstrap=",".join(broker.address for broker in brokers))
        return brokers

    def _triton(self) -> list[Service]:
        environment = self._found(triton_install.environment_folder(self._cache), "Triton")
        repositories = [self._repository] if self._repository else [_MODELS, self._cache / "models"]
        if self._repository is None:
            repositories[1].mkdir(parents=True, exist_ok=True)
        for repository in repositories:
            if not repository.is_dir():
                raise ServiceError(f"there is no model repository {repository}")
        ports = (self._port("triton-http"), self._port("triton-grpc"), self._port("triton-metrics"))
        triton = Triton(self.directory, environment, repositories, self._models, ports)
        self._set(
            triton_grpc=triton.address,
            triton_http=f"http://127.0.0.1:{triton.http_port}",
            triton_metrics=f"http://127.0.0.1:{triton.metrics_port}/metrics",
        )
        return [triton]

    def _redis(self) -> list[Service]:
        server = Redis(self.directory, self._port("redis"))
        self._set(redis_url=server.address)
        return [server]

    def _influxdb(self) -> list[Service]:
        program = influxdb_install.program(self._cache)
        self._found(program.parent, "InfluxDB")
        server = InfluxDB(self.directory, program, self._port("influxdb"), self._port("influxdb-rpc"))
        self._set(influx_url=server.address)
        return [server]

    def _rtsp(self) -> list[Service]:
        server = RtspServer(self.directory, self._port("rtsp"), self._mounts)
        self._set(rtsp_url=server.address)
        return [server]

    def _rtmp(self) -> list[Service]:
        server = RtmpServer(self.directory, self._port("rtmp"))
        self._set(rtmp_url=server.address)
        return [server]

    def _prometheus(self) -> list[Service]:
        """Scrapes Triton, where the stack has one; `Prometheus.scrape` adds more."""
        triton = self.addresses.triton_metrics.removeprefix("http://")
        server = Prometheus(self.directory, self._port("prometheus"), {"triton": [triton]} if triton else {})
        self._set(prometheus_url=server.address)
        return [server]

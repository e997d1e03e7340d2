"""One publisher in front of a stand-in for Kafka, and cameras that feed it."""

import time
from collections.abc import Callable

import msgspec

from ingest.camera import Camera, Past
from ingest.clock import ArrivalClock
from ingest.limits import Limits
from ingest.publisher import Publisher
from schemas.analysis import CameraSpec, Source
from schemas.messages import AccessUnit, End, Gap, IngestLedger
from tests.ingest.memory_producer import MemoryProducer


class Rig:
    def __init__(self, limits: Limits | None = None, together_ms: int = 0) -> None:
        self.limits = limits or Limits(backoff_seconds=(0.05, 0.2), flush_seconds=0.5)
        self.producer = MemoryProducer()
        self.publisher = Publisher(self.producer, self.limits, together_ms)  # type: ignore[arg-type]
        self.publisher.start()
        self.cameras: list[Camera] = []

    def camera(
        self, url: str, id: str = "cam", batch: bool = False, past: Past | None = None, **source: object
    ) -> Camera:
        spec = msgspec.convert({"id": id, "source": {"url": url, **source}, "batch": batch}, CameraSpec)
        assert isinstance(spec.source, Source)
        camera = Camera(spec, self.publisher, self.limits, ArrivalClock(), recall=lambda _: past or Past())
        self.cameras.append(camera)
        camera.start()
        return camera

    def close(self) -> None:
        for camera in self.cameras:
            camera.stop()
        for camera in self.cameras:
            camera.join(3)
        self.publisher.stop()

    def units(self, topic: str = "frames") -> list[AccessUnit]:
        return [record for record in self.producer.records(topic) if isinstance(record, AccessUnit)]

    def gaps(self) -> list[Gap]:
        return [record for record in self.producer.records("frames") if isinstance(record, Gap)]

    def ends(self, topic: str = "frames") -> list[End]:
        return [record for record in self.producer.records(topic) if isinstance(record, End)]

    def ledger(self) -> list[IngestLedger]:
        entries = [kept.value for kept in list(self.producer.kept) if kept.topic == "ledger"]
        return [msgspec.json.decode(entry, type=IngestLedger) for entry in entries if entry]

    def read_all(self, url: str, **source: object) -> list[AccessUnit]:
        """A file as fast as it goes, to its end."""
        self.camera(url, **{"pace": "max", **source})  # type: ignore[arg-type]
        wait_until(lambda: bool(self.ends()), 60)
        return self.units()


def wait_until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)

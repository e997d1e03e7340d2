"""Which processes are there, and who serves which camera: by their heartbeats."""

import time
from collections.abc import Sequence

import msgspec
from msgspec import Struct
from rich.table import Table

from cli.collect import read_all
from cli.table import table
from runtime.heartbeat import ALIVE_SECONDS
from schemas.messages import Heartbeat
from schemas.topics import CAMERAS, HEARTBEATS


class Present(Struct, frozen=True):
    beat: Heartbeat
    age_seconds: float


class Served(Struct, frozen=True):
    """`ingest` and `worker` name processes; None: nobody."""

    camera: str
    ingest: str | None
    worker: str | None


def present(bootstrap: str) -> list[Present]:
    """Processes that were heard lately, by name. Raises TimeoutError, or KafkaException when Kafka is away."""
    now_ms = time.time() * 1000
    found: dict[str, Present] = {}
    for record in read_all(bootstrap, [HEARTBEATS.name], timeout=5.0, since_ms=int(now_ms - ALIVE_SECONDS * 1000)):
        beat = msgspec.json.decode(record.value or b"", type=Heartbeat)
        found[beat.process] = Present(beat, round(max(0.0, now_ms - record.timestamp_ms) / 1000, 1))
    return sorted(found.values(), key=lambda one: one.beat.process)


def served(bootstrap: str, processes: Sequence[Present]) -> list[Served]:
    """Every camera that is wanted or that somebody serves."""
    wanted: set[str] = set()
    for record in read_all(bootstrap, [CAMERAS.name], timeout=5.0):
        (wanted.discard if record.value is None else wanted.add)(record.key.decode())
    by_role: dict[str, dict[str, str]] = {"ingest": {}, "worker": {}}
    for one in sorted(processes, key=lambda one: -one.age_seconds):
        for camera in one.beat.cameras:
            by_role.setdefault(one.beat.role, {})[camera] = one.beat.process
    cameras = wanted | by_role["ingest"].keys() | by_role["worker"].keys()
    return [Served(camera, by_role["ingest"].get(camera), by_role["worker"].get(camera)) for camera in sorted(cameras)]


def tables(processes: Sequence[Present], cameras: Sequence[Served]) -> list[Table]:
    numbers = "pid", "cameras", "heard s ago"
    people = table("process", "role", "host", *numbers, numbers=numbers, title="processes")
    for one in processes:
        beat = one.beat
        people.add_row(
            beat.process, beat.role, beat.host, str(beat.pid), str(len(beat.cameras)), f"{one.age_seconds:.0f}"
        )
    served_by = table("camera", "pulled by", "analysed by", title="cameras")
    for camera in cameras:
        served_by.add_row(camera.camera, camera.ingest or "[red]nobody", camera.worker or "[red]nobody")
    return [people, *([served_by] if cameras else [])]

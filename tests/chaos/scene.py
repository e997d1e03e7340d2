"""What the cameras show: the same bytes in every run for the recorded ones, a real stream for the live one."""

import threading
import time
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from cli.demo.clips import View, clips
from devstack.rtsp import Mount
from runtime.kafka import producer
from schemas.analysis import Analysis
from schemas.codec import WireRecord, encode
from schemas.messages import End
from schemas.partition import partition_of
from schemas.topics import FRAMES, PARTITIONS
from simulator.spec import spec
from tests.vision.video import demux

MODEL: Final = "junction-yolo-int8"
FPS: Final = 15
SIZE: Final = (640, 360)
SECOND_NS: Final = 1_000_000_000
LIVE: Final = "live"
RECORDED: Final = ("crossing-a", "crossing-b", "crossing-c")
_LIVE_SECONDS: Final = 20
_REAL_CLIP: Final = Path(__file__).resolve().parents[3] / "shared" / "data" / "video" / "vtest_480x360.mp4"


class Scene(Struct, frozen=True):
    records: list[tuple[float, WireRecord]]
    """of the recorded cameras, in the order of their publication, with the seconds since the beginning"""
    frames: dict[str, int]
    """access units of each recorded camera"""
    live: Mount
    live_analysis: Analysis


def build(seconds: float, begin_ns: int) -> Scene:
    """The live camera must not share a partition with a recorded one: it would move their offsets."""
    partitions = {camera: partition_of(camera.encode(), PARTITIONS) for camera in (*RECORDED, LIVE)}
    assert list(partitions.values()).count(partitions[LIVE]) == 1
    views = tuple(View(camera, 40 + number, "day") for number, camera in enumerate(RECORDED))
    rendered = clips(views, seconds, SIZE, float(FPS), lambda _: None)
    published: list[tuple[float, WireRecord]] = []
    frames: dict[str, int] = {}
    for clip in rendered:
        camera = clip.view.camera
        header = msgspec.json.encode(spec(clip.header.geometry, model=MODEL), order="deterministic")
        units = list(demux(clip.path))
        order = sorted(unit.pts for unit in units)
        last_ns = begin_ns
        for number, unit in enumerate(units):
            last_ns = begin_ns + order.index(unit.pts) * SECOND_NS // FPS
            analysis = header if unit.keyframe else None
            sent = msgspec.structs.replace(unit, camera=camera, captured_ns=last_ns, analysis=analysis)
            published.append((number / FPS, encode(sent)))
        frames[camera] = len(units)
        published.append((len(units) / FPS, encode(End(camera, units[0].session, len(units), "", header, last_ns))))
    published.sort(key=lambda entry: entry[0])
    (street,) = clips((View(LIVE, 50, "day"),), _LIVE_SECONDS, SIZE, float(FPS), lambda _: None)
    return Scene(
        published,
        frames,
        Mount(_REAL_CLIP if _REAL_CLIP.exists() else street.path),
        spec(street.header.geometry, model=MODEL),
    )


class Playing(threading.Thread):
    """Publishes the recorded cameras at the pace of their capture. `speed` 0: as fast as Kafka takes them."""

    def __init__(self, bootstrap: str, scene: Scene, speed: float) -> None:
        super().__init__(name="playing", daemon=True)
        self._kafka, self._scene, self._speed = bootstrap, scene, speed
        self.undelivered = -1

    def run(self) -> None:
        sender = producer(self._kafka, "scene")
        begun = time.monotonic()
        for at, record in self._scene.records:
            if self._speed:
                time.sleep(max(0.0, at / self._speed - (time.monotonic() - begun)))
            sender.produce(
                FRAMES.name, record.value, record.key, headers=[*record.headers], timestamp=record.timestamp_ms
            )
            sender.poll(0)
        self.undelivered = sender.flush(60)

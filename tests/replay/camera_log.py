"""A simulated camera's log as ingest would have published it, with times of some minutes ago."""

import time
from typing import Final

import msgspec

from cli.collect import read_all
from cli.demo.clips import View, clips
from cli.ledger import ledgers
from devstack.stack import Stack
from runtime.kafka import producer
from schemas.codec import WireRecord, encode
from schemas.messages import Gap, LogRecord
from schemas.topics import FRAMES, LEDGER
from simulator.spec import spec
from tests.vision.video import demux

MODEL: Final = "junction-yolo-int8"
"""the quicker one: what is tested here is the log"""
SECOND_NS: Final = 1_000_000_000
FPS: Final = 15


def records(
    camera: str, seconds: float, begin_ns: int, model: str = MODEL, gap_after: int | None = None
) -> list[LogRecord]:
    """`gap_after`: after so many GOPs the connection was lost for no time at all."""
    (clip,) = clips((View(camera, 40, "day"),), seconds, (640, 360), float(FPS), lambda _: None)
    header = msgspec.json.encode(spec(clip.header.geometry, model=model), order="deterministic")
    units = list(demux(clip.path))
    order = sorted(unit.pts for unit in units)
    found: list[LogRecord] = []
    for unit in units:
        captured_ns = begin_ns + order.index(unit.pts) * SECOND_NS // FPS
        if unit.keyframe and unit.gop == gap_after:
            found.append(Gap(camera, unit.session, "connection lost", captured_ns - SECOND_NS // FPS, captured_ns, 0))
        analysis = header if unit.keyframe else None
        found.append(msgspec.structs.replace(unit, camera=camera, captured_ns=captured_ns, analysis=analysis))
    return found


def publish(stack: Stack, log: list[LogRecord], damaged: int | None = None) -> None:
    """`damaged`: the record of this number lacks a header."""
    sender = producer(stack.addresses.kafka_bootstrap, "log")
    for number, entry in enumerate(log):
        record: WireRecord = encode(entry)
        headers = [(name, value) for name, value in record.headers if number != damaged or name != "pts"]
        sender.produce(FRAMES.name, record.value, record.key, headers=[*headers], timestamp=record.timestamp_ms)
        sender.poll(0)
    assert sender.flush(30) == 0


def gops(log: list[LogRecord]) -> int:
    return sum(getattr(entry, "keyframe", False) for entry in log)


def failed_frames(stack: Stack, camera: str) -> int:
    """By the newest revision of each GOP's account."""
    records = read_all(stack.addresses.kafka_bootstrap, [LEDGER.name])
    return ledgers(records)[camera].frames().failed


def wait_for_ledger(stack: Stack, camera: str, count: int) -> None:
    """Until a worker has accounted for so many GOPs."""
    deadline = time.monotonic() + 120
    while True:
        entries = [r for r in read_all(stack.addresses.kafka_bootstrap, [LEDGER.name]) if r.key == camera.encode()]
        if len(entries) >= count:
            return
        assert time.monotonic() < deadline, f"{len(entries)} of {count} GOPs"
        time.sleep(0.5)

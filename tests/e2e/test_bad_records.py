"""Records on `frames` that nobody of ours wrote: told, counted, and nothing else is lost."""

import time

import msgspec
import pytest

from cli.collect import Record, read_all
from cli.system import System
from runtime.kafka import producer
from schemas.codec import encode
from schemas.messages import AccessUnit, End, LogRecord
from schemas.topics import DETECTIONS, FAILED_WINDOWS, FRAMES, LEDGER
from tests.processors.walk import clip

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


def of(records: list[Record], camera: str, topic: str) -> list[Record]:
    return [record for record in records if record.key == camera.encode() and record.topic == topic]


@pytest.mark.parametrize(
    "change",
    [
        {"drop": "pts"},
        {"drop": "v"},
        {"width": b"99999999999"},
        {"index": b"-3"},
        {"codec": b"av1"},
        {"captured_ns": "\N{ARABIC-INDIC DIGIT ONE}".encode()},
    ],
    ids=["no-pts", "no-version", "absurd-width", "negative-index", "unknown-codec", "foreign-digits"],
)
def test_a_malformed_record_costs_its_gop_and_no_more(
    system: System, change: dict[str, bytes | str], request: pytest.FixtureRequest
) -> None:
    camera = f"bad-{request.node.callspec.id}"
    analysis = msgspec.json.decode(clip(1)[0].analysis or b"")
    analysis.update(model="junction-yolo")
    header = msgspec.json.encode(analysis)
    units: list[AccessUnit] = [
        msgspec.structs.replace(unit, camera=camera, analysis=header if unit.keyframe else None) for unit in clip(30)
    ]
    bootstrap = system.addresses.kafka_bootstrap
    sender = producer(bootstrap, "bad-records")
    sender.produce(FRAMES.name, b"no key, no headers")
    records: list[LogRecord] = [*units, End(camera, "s1", len(units), "", header, units[-1].captured_ns)]
    for number, record in enumerate(records):
        wire = encode(record)
        headers = dict(wire.headers)
        if number == 14:
            dropped = change.get("drop")
            if isinstance(dropped, str):
                headers.pop(dropped)
            else:
                headers.update({name: value for name, value in change.items() if isinstance(value, bytes)})
        sender.produce(FRAMES.name, wire.value, wire.key, headers=list(headers.items()))
    assert sender.flush(10) == 0
    topics = [LEDGER.name, FAILED_WINDOWS.name, DETECTIONS.name]
    deadline = time.monotonic() + 60
    while True:
        found = read_all(bootstrap, topics)
        if any(record.json()["stage"] == "end" for record in of(found, camera, LEDGER.name)):
            break
        assert time.monotonic() < deadline, "the worker did not go on"
        time.sleep(0.5)
    (window,) = of(found, camera, FAILED_WINDOWS.name)
    assert "malformed record" in window.json()["reason"]
    assert len(of(found, camera, DETECTIONS.name)) == 24
    sums = [record.json() for record in of(found, camera, LEDGER.name) if record.json()["stage"] == "analysis"]
    assert sum(entry["consumed"] for entry in sums) == 30
    assert sum(entry["failed"] for entry in sums) == 6

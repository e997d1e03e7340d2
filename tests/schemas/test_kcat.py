"""A subscriber with kcat and a JSON parser reads our topics; nothing of ours takes part."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from devstack.stack import Stack
from runtime.kafka import create_topics, producer
from schemas.codec import encode
from schemas.examples import RECORDS, RESULTS
from schemas.results import headers_of, key_of, to_json, topic_of
from schemas.topics import TOPICS

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def bootstrap() -> Iterator[str]:
    with Stack(services=("kafka",)) as stack:
        address = stack.addresses.kafka_bootstrap
        create_topics(address, TOPICS, 1)
        writer = producer(address, "test")
        for result in RESULTS.values():
            headers: Any = headers_of(result, traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
            writer.produce(topic_of(result).name, to_json(result), key_of(result), headers=headers)
        for record in RECORDS.values():
            wire = encode(record)
            wire_headers: Any = wire.headers
            writer.produce("frames", wire.value, wire.key, headers=wire_headers, timestamp=wire.timestamp_ms)
        assert writer.flush(30) == 0
        yield address


def kcat(bootstrap: str, topic: str, *arguments: str) -> str:
    program = shutil.which("kcat")
    assert program, "apt-get install kcat"
    command = [program, "-C", "-b", bootstrap, "-t", topic, "-o", "beginning", "-e", "-q", *arguments]
    return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout.decode()


@pytest.mark.parametrize("topic", ["events", "detections", "flow", "ledger", "failed-windows"])
def test_values_are_json_lines(bootstrap: str, topic: str) -> None:
    read = [json.loads(line) for line in kcat(bootstrap, topic).splitlines()]
    sent = [json.loads(to_json(result)) for result in RESULTS.values() if topic_of(result).name == topic]
    assert read == sent
    assert sent


@pytest.mark.parametrize("topic", ["events", "detections"])
def test_key_headers_and_value_in_kcats_own_envelope(bootstrap: str, topic: str) -> None:
    for line in kcat(bootstrap, topic, "-J").splitlines():
        envelope = json.loads(line)
        value = json.loads(envelope["payload"])
        headers = dict(zip(envelope["headers"][::2], envelope["headers"][1::2], strict=True))
        assert envelope["key"] == value["camera"]
        assert headers["ce_specversion"] == "1.0"
        assert headers["ce_type"] == f"rewatch.{topic.removesuffix('s') if topic == 'events' else topic}.v1"
        assert headers["ce_source"] == f"/cameras/{value['camera']}"
        assert headers["ce_time"] == "2025-11-21T06:00:00.123456Z"
        assert headers["content-type"] == "application/json"
        assert headers["traceparent"].startswith("00-")
        assert headers["ce_id"].endswith(f"#{value['revision']}")


def test_headers_of_frames_are_readable(bootstrap: str) -> None:
    shown = kcat(bootstrap, "frames", "-f", "%k %T %S %h\n").splitlines()
    assert len(shown) == len(RECORDS)
    keyframe = next(line for line in shown if "keyframe=1" in line)
    for part in ("junction-north 1763704800123 ", "v=1", "kind=au", "codec=h264", "pts=1530000", "time_base=1/90000"):
        assert part in keyframe
    assert any("kind=gap" in line and "reason=source stalled" in line for line in shown)
    assert any("kind=end" in line and "published=1500" in line for line in shown)


def test_one_camera_has_one_partition_number_everywhere(bootstrap: str) -> None:
    numbers = {
        kcat(bootstrap, topic, "-f", "%p\n").split()[0]
        for topic in ("events", "detections", "flow", "ledger", "frames")
    }
    assert len(numbers) == 1

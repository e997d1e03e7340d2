"""The four ways in which Faust, left alone, loses records: none is open in the product's app, on a real broker."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition

from runtime.kafka import admin, create_topics, producer
from schemas.topics import Topic

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]

ROOT = Path(__file__).resolve().parents[2]
RECORDS = 30


class Probes:
    def __init__(self, kafka: str, folder: Path) -> None:
        self.kafka, self._folder = kafka, folder
        self.topic = f"probe-{uuid.uuid4().hex[:8]}"
        self.running: list[subprocess.Popen[bytes]] = []
        create_topics(kafka, [Topic(self.topic, 1, "delete", None, 2**20, "anything")], 1)

    def fill(self, count: int, size: int = 10) -> None:
        sender = producer(self.kafka, "filler")
        for _ in range(count):
            sender.produce(self.topic, b"x" * size, b"camera", partition=0)
            sender.poll(0)
        assert sender.flush(30) == 0

    def start(self, mode: str) -> tuple[subprocess.Popen[bytes], Path]:
        out = self._folder / f"{len(self.running)}.out"
        with out.open("wb") as stdout, (self._folder / f"{len(self.running)}.log").open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.processors.faust_probe", self.topic, self.topic, mode],
                cwd=ROOT, env={**os.environ, "REWATCH_KAFKA": self.kafka}, stdout=stdout, stderr=stderr,
            )  # fmt: skip
        self.running.append(process)
        return process, out

    def committed(self) -> int:
        wanted = ConsumerGroupTopicPartitions(self.topic, [TopicPartition(self.topic, 0)])
        client = admin(self.kafka)
        (future,) = client.list_consumer_group_offsets([wanted]).values()
        (found,) = future.result(10).topic_partitions
        return int(found.offset)


def taken(out: Path) -> list[int]:
    return [int(line) for line in out.read_text().splitlines()]


def wait_for(out: Path, last: int, patience: float = 40.0) -> list[int]:
    deadline = time.monotonic() + patience
    while not (offsets := taken(out)) or offsets[-1] < last:
        assert time.monotonic() < deadline, offsets[-3:]
        time.sleep(0.1)
    return offsets


@pytest.fixture
def probes(kafka: str, tmp_path: Path) -> Iterator[Probes]:
    probes = Probes(kafka, tmp_path)
    yield probes
    for process in probes.running:
        process.kill()
        process.wait(10)


def test_an_unfinished_record_is_never_committed_past(probes: Probes) -> None:
    probes.fill(RECORDS)
    process, out = probes.start("hold:10")
    wait_for(out, RECORDS - 1)
    time.sleep(3)  # commits come every second
    assert probes.committed() == 10
    process.kill()
    process.wait(10)
    _, again = probes.start("plain")
    assert wait_for(again, RECORDS - 1) == list(range(10, RECORDS))


def test_a_record_whose_agent_raised_is_read_again(probes: Probes) -> None:
    probes.fill(RECORDS)
    process, out = probes.start("raise:10")
    assert process.wait(40) == 1
    assert taken(out) == list(range(10))
    _, again = probes.start("plain")
    offsets = wait_for(again, RECORDS - 1)
    assert offsets[0] <= 10
    assert offsets == list(range(offsets[0], RECORDS))


def test_a_stop_commits_nothing_that_is_open(probes: Probes) -> None:
    probes.fill(RECORDS)
    process, out = probes.start("hold:10")
    wait_for(out, RECORDS - 1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert probes.committed() == 10


def test_a_slow_agent_loses_nothing_and_keeps_the_order(probes: Probes) -> None:
    """Faust's own pausing of partitions would drop what was fetched; here the agent's queue fills, and waits."""
    probes.fill(3000, size=2000)
    _, out = probes.start("slow")
    assert wait_for(out, 2999) == list(range(3000))


def test_nobody_seeks_while_another_thread_fetches(probes: Probes) -> None:
    """aiokafka knows no second thread: what was fetched could be handed over after the seek, or the fetching break."""
    probes.fill(RECORDS)
    first, out = probes.start("plain")
    wait_for(out, RECORDS - 1)
    first.send_signal(signal.SIGTERM)
    assert first.wait(30) == 0
    probes.fill(RECORDS)
    _, again = probes.start("threads")
    assert wait_for(again, 2 * RECORDS - 1) == list(range(RECORDS, 2 * RECORDS))

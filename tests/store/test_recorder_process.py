"""The recorder as a process, on a real Kafka: killed, starved and fed nonsense, it leaves the exact table."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from devstack.influxdb.server import InfluxDB
from devstack.ports import free_port
from devstack.stack import Stack
from processors.duck import DuckStore
from processors.recorder_process import GROUP
from processors.store import TABLES, FakeStore, Query, Record, Store
from runtime.kafka import consumer, create_topics, producer
from schemas.results import headers_of, key_of, to_json, topic_of
from schemas.topics import DETECTIONS, EVENTS, FLOW, LEDGER
from tests.store.conftest import empty_influx
from tests.store.records import detections, event, example

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

RECORDED = (DETECTIONS, EVENTS, FLOW, LEDGER)


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    with Stack(services=("kafka",)) as stack:
        yield stack.addresses.kafka_bootstrap


@pytest.fixture
def kafka(broker: str) -> Iterator[str]:
    """Its topics are empty, and the recorders' group has never been."""
    create_topics(broker, RECORDED, 1)
    yield broker
    admin = AdminClient({"bootstrap.servers": broker, "log_level": 0})
    # of a recorder that was killed the group hears nothing more, and after a while it is empty
    wait(lambda: forgotten(admin), 60)
    for deletion in admin.delete_topics([topic.name for topic in RECORDED], operation_timeout=20).values():
        deletion.result(30)


def forgotten(admin: AdminClient) -> bool:
    (deletion,) = admin.delete_consumer_groups([GROUP]).values()
    try:
        deletion.result(20)
    except KafkaException as refused:
        return bool(refused.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND)
    return True


class Recording:
    """Starts recorders, and keeps what they should have written in a fake store."""

    def __init__(self, bootstrap: str, folder: Path, **settings: str) -> None:
        self._bootstrap = bootstrap
        self._environment = {**os.environ, "REWATCH_KAFKA": self._bootstrap, **settings}
        self._log = folder / "recorder.log"
        self.wanted = FakeStore()
        self._producer = producer(self._bootstrap, "test")
        self.processes: list[subprocess.Popen[bytes]] = []
        self.url = ""

    def start(self) -> subprocess.Popen[bytes]:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "cli.main", "recorder"],
                env={**self._environment, "REWATCH_HTTP_PORT": str(port)},
                stderr=log,
            )
        self.processes.append(process)
        return process

    def get(self, path: str) -> httpx.Response | None:
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(self.url + path, timeout=2, trust_env=False)
        return None

    def send(self, record: Record) -> None:
        headers: Any = headers_of(record)
        self._producer.produce(topic_of(record).name, to_json(record), key_of(record), headers=headers)
        self._producer.poll(0)
        self.wanted.write([record])

    def send_raw(self, topic: str, value: bytes | None) -> None:
        self._producer.produce(topic, value, b"nonsense")

    def flush(self) -> None:
        assert self._producer.flush(30) == 0

    def committed(self) -> int:
        """Sum over the events topic's partitions."""
        reader = consumer(self._bootstrap, GROUP)
        offsets = reader.committed([TopicPartition("events", number) for number in range(12)], timeout=10)
        reader.close()
        return sum(max(0, each.offset) for each in offsets)

    def log(self) -> str:
        return self._log.read_text(errors="replace")


def wait(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.2)


@contextlib.contextmanager
def recording(bootstrap: str, folder: Path, **settings: str) -> Iterator[Recording]:
    running = Recording(bootstrap, folder, **settings)
    try:
        yield running
    except BaseException:
        print(running.log()[-4000:])
        raise
    finally:
        for process in running.processes:
            process.kill()
            process.wait()


def same(store: Store, wanted: FakeStore) -> bool:
    if any(store.count(Query(table)) != wanted.count(Query(table)) for table in TABLES):
        return False
    for table in TABLES:
        assert store.read(Query(table)) == wanted.read(Query(table))
    return True


def traffic(running: Recording, rounds: int, seed: int) -> None:
    """New records, records again, and revisions in any order."""
    chance = random.Random(seed)
    for number in range(rounds):
        running.send(detections(number, camera=f"cam{number % 5}"))
        if number % 5 == 0:
            running.send(event(f"e{number:05}", camera=f"cam{number % 3}"))
            running.send(example("ingest-ledger", gop=number, captured_ns=detections(number).captured_ns))
        if number % 20 == 0:
            again = chance.randrange(number + 1)
            running.send(detections(again, camera=f"cam{again % 5}", revision=chance.randrange(3), gop=99))
            running.send(example("flow", count=number, revision=chance.randrange(3)))
        time.sleep(0.002)
    running.flush()


@pytest.mark.parametrize("kind", ["duckdb", "influxdb"])
def test_killed_at_random_moments_the_table_is_exact(
    kafka: str, influx_stack: Stack, tmp_path: Path, kind: str
) -> None:
    influx = empty_influx(influx_stack)
    settings = {
        "REWATCH_STORE": kind,
        "REWATCH_STORE_DIR": str(tmp_path / "store"),
        "REWATCH_INFLUXDB": influx_stack.addresses.influx_url,
        "REWATCH_INFLUXDB_BUCKET": influx._bucket,
    }
    chance = random.Random(7)
    with recording(kafka, tmp_path, **settings) as running:
        feeding = threading.Thread(target=traffic, args=(running, 4000, 1))
        feeding.start()
        running.start()
        for number in range(4):
            # a new process needs some seconds to its first record; two of them share the partitions for a while
            time.sleep(6 + 3 * chance.random())
            victim = running.processes[-1]
            if number == 1:
                running.start()
                time.sleep(5)
            victim.send_signal(signal.SIGTERM if number == 2 else signal.SIGKILL)
            victim.wait(60)
            if number != 1:
                running.start()
        feeding.join()
        store: Store = DuckStore(tmp_path / "store") if kind == "duckdb" else influx
        wait(lambda: same(store, running.wanted), 120)
        if store is not influx:
            store.close()
        assert "never delivered" not in running.log()
    influx.close()


def test_influxdb_away_then_back(kafka: str, influx_stack: Stack, tmp_path: Path) -> None:
    influx = empty_influx(influx_stack)
    settings = {
        "REWATCH_STORE": "influxdb",
        "REWATCH_INFLUXDB": influx_stack.addresses.influx_url,
        "REWATCH_INFLUXDB_BUCKET": influx._bucket,
    }
    server = influx_stack.service("influxdb")
    assert isinstance(server, InfluxDB)
    with recording(kafka, tmp_path, **settings) as running:
        process = running.start()
        running.send(event("first"))
        running.flush()
        wait(lambda: same(influx, running.wanted))
        wait(lambda: (answer := running.get("/readyz")) is not None and answer.status_code == 200)
        wait(lambda: running.committed() == 1)

        server.stop()
        for number in range(6000):
            running.send(event(f"e{number:05}", captured_ns=event("x").captured_ns + number))
        running.flush()
        wait(lambda: (answer := running.get("/readyz")) is not None and answer.status_code == 503)
        time.sleep(float(os.environ.get("REWATCH_TEST_OUTAGE_SECONDS", "8")))
        live = running.get("/livez")
        assert live is not None
        assert live.status_code == 200, "waiting is no reason to be restarted"
        answer = running.get("/metrics")
        assert answer is not None
        values = dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))
        assert float(values["rewatch_record_store_up"]) == 0
        assert float(values["rewatch_record_retries_total"]) >= 2
        assert float(values["rewatch_record_waiting_records"]) <= 2000
        assert running.committed() == 1

        server.restart()
        wait(lambda: same(influx, running.wanted), 90)
        wait(lambda: running.committed() == 6001)
        assert process.poll() is None, "the same process went on"
        process.terminate()
        assert process.wait(30) == 0
    influx.close()


def test_nonsense_is_passed_over_by_name(kafka: str, tmp_path: Path) -> None:
    folder = tmp_path / "store"
    with recording(kafka, tmp_path, REWATCH_STORE="duckdb", REWATCH_STORE_DIR=str(folder)) as running:
        process = running.start()
        running.send(event("before"))
        for value in (b"not json", b"\xff\x00", b"", None, b'{"id":1}', b"[" * 5000):
            running.send_raw("events", value)
        running.send_raw("ledger", b'{"stage":"unheard-of"}')
        running.send(event("after", camera="nonsense"))
        running.flush()
        store = DuckStore(folder)
        wait(lambda: same(store, running.wanted))
        wait(lambda: running.committed() == 8)
        assert process.poll() is None
        answer = running.get("/metrics")
        assert answer is not None
        assert 'rewatch_record_skipped_total{reason="malformed",topic="events"} 6.0' in answer.text
        assert 'rewatch_record_skipped_total{reason="malformed",topic="ledger"} 1.0' in answer.text
        for field in ('"topic": "events"', '"partition"', '"offset"'):
            assert field in running.log()
        store.close()

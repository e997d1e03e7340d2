"""Brokers alone and as three."""

from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from devstack.kafka.broker import cluster
from devstack.kafka.install import CHECKSUMS, ChecksumError, verify
from devstack.stack import Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]


def produce(bootstrap: str, value: bytes) -> None:
    failures: list[object] = []

    def delivered(error: object, _: object) -> None:
        if error is not None:
            failures.append(error)

    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "message.timeout.ms": 60_000})
    producer.produce("kept", value, on_delivery=delivered)
    assert producer.flush(70) == 0
    assert not failures


def fetch(bootstrap: str, count: int) -> list[bytes | None]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test"})
    consumer.assign([TopicPartition("kept", 0, 0)])
    values: list[bytes | None] = []
    while len(values) < count and (message := consumer.poll(30)) is not None:
        values.append(message.value())
    consumer.close()
    return values


def test_data_outlives_a_crash_and_the_stack(tmp_path: Path) -> None:
    with Stack(tmp_path, ("kafka",)) as stack:
        bootstrap = stack.addresses.kafka_bootstrap
        admin = AdminClient({"bootstrap.servers": bootstrap})
        admin.create_topics([NewTopic("kept", 1, 1)])["kept"].result(30)
        produce(bootstrap, b"1")
        stack.service("kafka").kill()
        stack.service("kafka").restart()
        produce(bootstrap, b"2")
    with Stack(tmp_path, ("kafka",)) as stack:  # other ports, same folder
        assert fetch(stack.addresses.kafka_bootstrap, 2) == [b"1", b"2"]


def test_two_brokers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 or 3 brokers, not 2"):
        cluster(tmp_path, tmp_path, 2)


def test_a_changed_missing_or_foreign_jar_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.jar").write_bytes(b"a")
    (tmp_path / "foreign.jar").write_bytes(b"")
    good = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    with pytest.raises(ChecksumError, match=r"differ from jars.sha256: foreign.jar, lost.jar"):
        verify(tmp_path, f"{good}  a.jar\n{good}  lost.jar\n")
    (tmp_path / "foreign.jar").unlink()
    verify(tmp_path, f"{good}  a.jar\n")
    assert len(CHECKSUMS.read_text().splitlines()) > 40

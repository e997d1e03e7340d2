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


def test_only_a_broker_that_is_to_last_compiles_to_the_end(tmp_path: Path) -> None:
    (broker,) = cluster(tmp_path, tmp_path, 1)
    limit = "-XX:TieredStopAtLevel=1"
    assert limit in broker.command()
    broker.lasting = True
    assert [word for word in broker.command() if "Tiered" in word] == []
    assert [limit in each.command() for each in Stack(tmp_path, ("kafka",), lasting=True)._kafka()] == [False]


def test_each_broker_is_formatted_as_itself(tmp_path: Path) -> None:
    jars = tmp_path / "jars"
    (jars / "formatted").mkdir(parents=True)
    (jars / "formatted" / "meta.properties").write_text("version=1\nnode.id=1\ndirectory.id=first\ncluster.id=c\n")
    brokers = cluster(tmp_path, jars, 3)
    found = []
    for broker in brokers:
        broker.data.mkdir(parents=True)
        # what one that was killed while it was at it left behind
        (broker.data / "log.new").mkdir()
        broker.prepare()
        lines = (broker.data / "log" / "meta.properties").read_text().splitlines()
        found.append(dict(line.split("=") for line in lines))
        assert [path.name for path in broker.data.iterdir() if path.is_dir()] == ["log"]
    assert [meta["node.id"] for meta in found] == ["1", "2", "3"]
    assert {meta["cluster.id"] for meta in found} == {"c"}
    assert len({meta["directory.id"] for meta in found} | {"first"}) == 4
    brokers[0].prepare()
    assert found[0]["directory.id"] in (brokers[0].data / "log" / "meta.properties").read_text(), "formatted once"


def test_a_changed_missing_or_foreign_jar_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.jar").write_bytes(b"a")
    (tmp_path / "foreign.jar").write_bytes(b"")
    good = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    with pytest.raises(ChecksumError, match=r"differ from jars.sha256: foreign.jar, lost.jar"):
        verify(tmp_path, f"{good}  a.jar\n{good}  lost.jar\n")
    (tmp_path / "foreign.jar").unlink()
    verify(tmp_path, f"{good}  a.jar\n")
    assert len(CHECKSUMS.read_text().splitlines()) > 40

"""A broker of the gateway's own: its topics have the real names, which other tests use for other things."""

from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Producer

from devstack.stack import Stack
from runtime import kafka as clients
from schemas.topics import TOPICS
from tests.gateway.writer import Writer


@pytest.fixture(scope="session")
def broker() -> Iterator[Stack]:
    with Stack(services=("kafka",)) as stack:
        clients.create_topics(stack.addresses.kafka_bootstrap, TOPICS, 1)
        yield stack


@pytest.fixture
def producer(broker: Stack) -> Iterator[Producer]:
    made = clients.producer(broker.addresses.kafka_bootstrap, "test")
    yield made
    made.flush(10)


@pytest.fixture
def writer(producer: Producer) -> Writer:
    def sink(
        topic: str, key: bytes, value: bytes | None, headers: list[tuple[str, bytes]], timestamp_ms: int | None
    ) -> None:
        stamp: dict[str, Any] = {} if timestamp_ms is None else {"timestamp": timestamp_ms}
        producer.produce(topic, value, key, headers=dict(headers), **stamp)
        producer.poll(0)

    return Writer(sink, producer.flush)

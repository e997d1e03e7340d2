"""Where a partition begins and ends, asked at once after it was made: there may be no leader yet."""

import uuid

import pytest

from runtime.kafka import consumer, create_topics, producer, watermarks
from schemas.topics import Topic

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


def test_a_partition_that_was_just_made(kafka: str) -> None:
    reader, sender = consumer(kafka, "test"), producer(kafka, "test")
    for _ in range(5):
        topic = Topic(f"made-{uuid.uuid4().hex}", 12, "delete", None, 1000, "anything")
        create_topics(kafka, [topic], 1)
        reader.list_topics(topic.name, timeout=10)
        assert {watermarks(reader, topic.name, partition) for partition in range(topic.partitions)} == {(0, 0)}
        sender.produce(topic.name, b"1", partition=3)
        assert sender.flush(30) == 0
        assert watermarks(reader, topic.name, 3) == (0, 1)
    reader.close()

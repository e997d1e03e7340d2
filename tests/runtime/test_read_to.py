"""A log read up to an end that was known before: all of that, nothing else, and never less without a word."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from runtime.kafka import consumer, create_topics, producer, read_to, watermarks
from schemas.topics import Topic

ENDS = {("events", 0): 3}


@pytest.mark.integration
@pytest.mark.timeout(120)
def test_what_comes_later_and_what_came_before_is_left_out(kafka: str) -> None:
    topic = Topic(f"read-{uuid.uuid4().hex}", 3, "delete", None, 1000, "anything")
    create_topics(kafka, [topic], 1)
    writer, reader = producer(kafka, "test"), consumer(kafka, "test")

    def write(partition: int, *values: str) -> None:
        for value in values:
            writer.produce(topic.name, value.encode(), b"cam", partition=partition)
        assert writer.flush(10) == 0

    write(0, "a", "b", "c")
    write(1, "d")
    ends = {(topic.name, number): watermarks(reader, topic.name, number)[1] for number in range(3)}
    write(0, "later")
    write(2, "later")
    starts = [TopicPartition(topic.name, number, start) for number, start in ((0, 1), (1, 0), (2, 0))]
    read = sorted(message.value() or b"" for message in read_to(reader, starts, ends, 20.0))
    reader.close()
    assert read == [b"b", b"c", b"d"]


class Said:
    """A message or an error, as a consumer gives them."""

    def __init__(self, offset: int, code: int | None = None) -> None:
        self._offset, self._error = offset, None if code is None else KafkaError(code)

    def topic(self) -> str:
        return "events"

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._offset

    def error(self) -> KafkaError | None:
        return self._error


class Scripted:
    """A consumer whose broker has just changed: says what it is told to, then nothing."""

    def __init__(self, *said: Said) -> None:
        self._said: Iterator[Said] = iter(said)
        self.assigned: list[TopicPartition] = []

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.assigned = partitions

    def poll(self, _: float) -> Said | None:
        return next(self._said, None)


def offsets(reader: Any, start: int = 0) -> list[int]:
    return [message.offset() or 0 for message in read_to(reader, [TopicPartition("events", 0, start)], ENDS, 0.0)]


def test_a_new_leader_that_calls_an_earlier_place_the_end_is_not_believed() -> None:
    assert offsets(Scripted(Said(0), Said(1, KafkaError._PARTITION_EOF), Said(1), Said(2))) == [0, 1, 2]


def test_a_hole_in_front_of_the_end_is_no_reason_to_wait() -> None:
    assert offsets(Scripted(Said(0), Said(3, KafkaError._PARTITION_EOF))) == [0]


def test_an_election_is_waited_for() -> None:
    assert offsets(Scripted(Said(0), Said(-1, KafkaError.NOT_LEADER_FOR_PARTITION), Said(2))) == [0, 2]


def test_silence_in_front_of_the_end_is_an_error() -> None:
    with pytest.raises(KafkaException) as caught:
        offsets(Scripted(Said(0)))
    assert caught.value.args[0].code() == KafkaError._TIMED_OUT


def test_a_refusal_is_an_error() -> None:
    with pytest.raises(KafkaException) as caught:
        offsets(Scripted(Said(-1, KafkaError.TOPIC_AUTHORIZATION_FAILED)))
    assert caught.value.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_an_end_that_is_reached_asks_nobody() -> None:
    reader = Scripted()
    assert offsets(reader, start=3) == []
    assert reader.assigned == []

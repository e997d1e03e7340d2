"""What the log already holds of a camera, so that a new process goes on where the last one ended."""

from typing import Final, cast

from confluent_kafka import Consumer, TopicPartition
from msgspec import Struct

from runtime import kafka
from schemas import codec
from schemas.messages import End, Gap
from schemas.partition import partition_of
from schemas.topics import PARTITIONS

_STEPS: Final = (64, 2048)
"""records read from a partition's end; a camera that shares it with many others may need the second"""
_TIMEOUT: Final = 10.0


class LastRecord(Struct, frozen=True):
    captured_ns: int
    ended: bool
    """the last record is an `end`: nothing is missing behind it"""


def last_record(bootstrap: str, topic: str, camera: str) -> LastRecord | None:
    """The latest capture time of a camera in the tail of its partition; None when it has left no trace there.

    Raises KafkaException when Kafka does not answer.
    """
    key = camera.encode()
    partition = partition_of(key, PARTITIONS)
    consumer = kafka.consumer(
        bootstrap, f"rewatch-tail-{camera}", **{"queued.max.messages.kbytes": 16_384, "fetch.wait.max.ms": 10}
    )
    try:
        low, high = kafka.watermarks(consumer, topic, partition, _TIMEOUT)
        for step in _STEPS:
            start = max(low, high - step)
            found = latest(consumer, TopicPartition(topic, partition, start), high, key)
            if found is not None or start == low:
                return found
        return None
    finally:
        consumer.close()


def latest(
    consumer: Consumer, start: TopicPartition, high: int, key: bytes, patience: float = _TIMEOUT
) -> LastRecord | None:
    """From `start` up to the offset `high`. Raises KafkaException when the log falls silent before: what was read up to
    there is not the end."""
    captured_ns, ended = 0, False
    for message in kafka.read_to(consumer, [start], {(start.topic, start.partition): high}, patience):
        if message.key() == key:
            try:
                record = codec.decode(key, message.value(), cast(codec.Headers, message.headers() or []))
            except codec.CodecError:
                continue
            seen_ns = record.to_ns if isinstance(record, Gap) else record.captured_ns
            captured_ns, ended = max(captured_ns, seen_ns), isinstance(record, End)
    consumer.unassign()
    return LastRecord(captured_ns, ended) if captured_ns else None

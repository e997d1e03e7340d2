"""Everything that a topic holds, read once from its start to its present end."""

from collections.abc import Iterable
from typing import Any

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from runtime.kafka import consumer, read_to, watermarks


class Record(msgspec.Struct, frozen=True):
    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes
    value: bytes | None
    headers: dict[str, bytes]

    def json(self) -> Any:
        return msgspec.json.decode(self.value or b"null")


def read_all(bootstrap: str, topics: Iterable[str], timeout: float = 30.0, since_ms: int = 0) -> list[Record]:
    """Records of the topics, in offset order per partition; from the first one that is stamped `since_ms` or later.

    Raises TimeoutError when the end is not reached, KafkaException when no broker answers."""
    reader = consumer(bootstrap, "rewatch-collect", **{"fetch.wait.max.ms": 10})
    try:
        known = reader.list_topics(timeout=10).topics
        starts, ends = [], {}
        for name in topics:
            for partition in known[name].partitions:
                low, ends[name, partition] = watermarks(reader, name, partition)
                starts.append(TopicPartition(name, partition, since_ms or low))
        if since_ms:
            starts = [start for start in reader.offsets_for_times(starts, timeout=10) if start.offset >= 0]
        return [_record(message) for message in read_to(reader, starts, ends, timeout)]
    except KafkaException as error:
        if error.args[0].code() == KafkaError._TIMED_OUT:
            raise TimeoutError(f"the log said nothing for {timeout:.0f} s") from error
        raise
    finally:
        reader.close()


def _record(message: Message) -> Record:
    topic, partition, offset, key, value = (
        message.topic(),
        message.partition(),
        message.offset(),
        message.key(),
        message.value(),
    )
    assert topic is not None
    assert partition is not None
    assert offset is not None
    headers: Any = dict(message.headers() or ())
    return Record(topic, partition, offset, message.timestamp()[1], _bytes(key) or b"", _bytes(value), headers)


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value

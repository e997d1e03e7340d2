"""Everything that a topic holds, read once from its start to its present end."""

from collections.abc import Iterable
from typing import Any

import msgspec
from confluent_kafka import KafkaError, Message, TopicPartition

from runtime.kafka import ELECTING, consumer, watermarks


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
                low, high = watermarks(reader, name, partition)
                if high > low:
                    starts.append(TopicPartition(name, partition, since_ms or low))
                    ends[name, partition] = high
        if since_ms:
            starts = [start for start in reader.offsets_for_times(starts, timeout=10) if start.offset >= 0]
        reader.assign(starts)
        waiting = {(start.topic, start.partition) for start in starts}
        records: list[Record] = []
        idle = 0.0
        while waiting:
            message = reader.poll(0.5)
            if message is None:
                idle += 0.5
                if idle > timeout:
                    raise TimeoutError(f"the end of {sorted(waiting)} was not reached")
                continue
            idle = 0.0
            error = message.error()
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:
                    # a new leader may call an earlier place the end at first
                    where = str(message.topic()), int(message.partition() or 0)
                    if (message.offset() or 0) >= ends[where]:
                        waiting.discard(where)
                    continue
                if error.code() not in ELECTING:
                    raise RuntimeError(error.str())
                continue
            records.append(_record(message))
        return records
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

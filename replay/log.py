"""Reading a partition from an offset to where it ended a moment ago. Private consumers: no group, no commits."""

from collections.abc import Iterator
from typing import Any, Final, Self

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from msgspec import Struct

from runtime.kafka import consumer, watermarks

_BATCH: Final = 64
_PATIENCE_SECONDS: Final = 30.0
_GONE: Final = {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}


class LogGoneError(Exception):
    """What is wanted is no longer in the log, or never was. The message names what there is."""


class LogSilentError(Exception):
    """Kafka does not answer."""


class Record(Struct, frozen=True):
    offset: int
    timestamp_ms: int
    key: bytes
    value: bytes
    headers: dict[str, bytes]


class PartitionLog:
    """One partition, for use in one thread. `low` and `high` are of the moment of opening.

    Raises LogSilentError when Kafka does not answer.
    """

    def __init__(self, bootstrap: str, topic: str, partition: int) -> None:
        self.topic, self.partition = topic, partition
        self._where = TopicPartition(topic, partition)
        self._consumer = consumer(
            bootstrap,
            "rewatch-replay",
            **{"fetch.wait.max.ms": 100, "queued.max.messages.kbytes": 32 * 1024, "fetch.max.bytes": 16 * 1024 * 1024},
        )
        try:
            self.low, self.high = watermarks(self._consumer, topic, partition)
        except KafkaException as error:
            self._consumer.close()
            raise LogSilentError(f"{topic}/{partition}: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def at(self, timestamp_ms: int) -> int:
        """The first offset stamped then or later; `high` where there is none."""
        wanted = TopicPartition(self.topic, self.partition, max(0, timestamp_ms))
        try:
            (found,) = self._consumer.offsets_for_times([wanted], timeout=10)
        except KafkaException as error:
            raise LogSilentError(f"{self.topic}/{self.partition}: {error}") from error
        return found.offset if found.offset >= 0 else self.high

    def read(self, start: int) -> Iterator[list[Record]]:
        """From `start` to `high`. Raises LogGoneError when retention is quicker than the reader."""
        if start >= self.high:
            return
        self._consumer.assign([TopicPartition(self.topic, self.partition, start)])
        silent, position = 0.0, start
        while position < self.high:
            # asked for many it would wait for as many: for one, and then for what is there
            messages = self._consumer.consume(1, 0.5)
            messages += self._consumer.consume(_BATCH - 1, 0) if messages else []
            if not messages:
                silent += 0.5
                if silent >= _PATIENCE_SECONDS:
                    raise LogSilentError(f"{self.topic}/{self.partition}: no answer at offset {position}")
                continue
            silent, records = 0.0, []
            for message in messages:
                error = message.error()
                if error is None:
                    records.append(_record(message))
                elif error.code() in _GONE:
                    raise LogGoneError(self._gone(position))
                elif error.code() == KafkaError._PARTITION_EOF:
                    position = max(position, message.offset() or 0)
                elif not error.retriable():
                    raise LogSilentError(f"{self.topic}/{self.partition}: {error.str()}")
            wanted = [record for record in records if record.offset < self.high]
            if records:
                position = max(position, records[-1].offset + 1)
            if wanted:
                yield wanted

    def _gone(self, position: int) -> str:
        try:
            low, high = watermarks(self._consumer, self.topic, self.partition)
        except KafkaException as error:
            raise LogSilentError(f"{self.topic}/{self.partition}: {error}") from error
        return deleted(self.topic, self.partition, position, low, high)


def deleted(topic: str, partition: int, offset: int, low: int, high: int) -> str:
    left = f"left are {low} to {high - 1}" if high > low else "nothing is left"
    return f"{topic}/{partition}: offset {offset} was deleted; {left}"


def _record(message: Any) -> Record:
    return Record(
        offset=message.offset(),
        timestamp_ms=message.timestamp()[1],
        key=message.key() or b"",
        value=message.value() or b"",
        headers=dict(message.headers() or ()),
    )

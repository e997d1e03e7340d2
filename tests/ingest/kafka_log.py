"""Reading back what a service wrote to a real Kafka."""

import contextlib
import time
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from confluent_kafka import Consumer, KafkaException, TopicPartition
from msgspec import Struct

from runtime import kafka
from schemas import codec
from schemas.messages import AccessUnit, End, Gap, IngestLedger, LedgerEntry, LogRecord

T = TypeVar("T")


class Stored(Struct, frozen=True):
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes
    value: bytes | None
    headers: list[tuple[str, bytes]]


class KafkaLog:
    """All records of one topic from its beginning, as far as `catch_up` has read them."""

    def __init__(self, bootstrap: str, topic: str, key: str | None = None) -> None:
        self._topic, self._key = topic, None if key is None else key.encode()
        self._consumer: Consumer = kafka.consumer(
            bootstrap, "test-log", **{"auto.offset.reset": "earliest", "fetch.wait.max.ms": 10}
        )
        partitions = self._consumer.list_topics(topic, timeout=15).topics[topic].partitions
        self._next = dict.fromkeys(partitions, 0)
        self._consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
        self.stored: list[Stored] = []

    def close(self) -> None:
        self._consumer.close()

    def catch_up(self) -> None:
        """Reads what the topic held when this was called."""
        ends = {number: self._end(number) for number in self._next}
        while any(self._next[number] < end for number, end in ends.items()):
            message = self._consumer.poll(0.3)
            if message is None or message.error() is not None:
                continue
            self._next[message.partition() or 0] = (message.offset() or 0) + 1
            if self._key is None or message.key() == self._key:
                headers: Any = message.headers() or []
                self.stored.append(
                    Stored(
                        message.partition() or 0,
                        message.offset() or 0,
                        message.timestamp()[1],
                        message.key() or b"",
                        message.value(),
                        headers,
                    )
                )

    def _end(self, partition: int) -> int:
        for _ in range(50):
            # right after a topic was made, or a broker came back, there may be no leader yet
            with contextlib.suppress(KafkaException):
                _, high = self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), timeout=15)
                return int(high)
            time.sleep(0.2)
        raise AssertionError(f"no leader for {self._topic} {partition}")

    def wait(self, condition: Callable[["KafkaLog"], bool], seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        self.catch_up()
        while not condition(self):
            assert time.monotonic() < deadline, f"waited in vain; {self._topic} holds {len(self.stored)} records"
            time.sleep(0.1)
            self.catch_up()

    @property
    def records(self) -> list[LogRecord]:
        return [codec.decode(stored.key, stored.value, stored.headers) for stored in self.stored]

    def _of(self, kind: type[T]) -> list[T]:
        return [record for record in self.records if isinstance(record, kind)]

    @property
    def units(self) -> list[AccessUnit]:
        return self._of(AccessUnit)

    @property
    def gaps(self) -> list[Gap]:
        return self._of(Gap)

    @property
    def ends(self) -> list[End]:
        return self._of(End)

    @property
    def ledger(self) -> list[IngestLedger]:
        entries = [msgspec.json.decode(stored.value or b"", type=LedgerEntry) for stored in self.stored]
        return [entry for entry in entries if isinstance(entry, IngestLedger)]

"""A stand-in for the Kafka producer that keeps what it is given, and can be made to refuse or to wait."""

import threading
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError
from msgspec import Struct

from schemas import codec
from schemas.messages import LogRecord

Callback = Callable[[KafkaError | None, Any], None]


class Kept(Struct, frozen=True):
    topic: str
    key: bytes
    value: bytes | None
    headers: list[tuple[str, bytes]]
    timestamp: int


class MemoryProducer:
    """`online` False: nothing is acknowledged, and beyond `most` messages nothing is taken."""

    def __init__(self, most: int = 1000) -> None:
        self.online = True
        self.most = most
        self.refuse: Callable[[Kept], KafkaError | None] = lambda kept: None
        self.kept: list[Kept] = []
        self._waiting: list[tuple[Kept, Callback]] = []
        self._changed = threading.Condition()

    def produce(
        self, topic: str, value: bytes | None, key: bytes, headers: Any, on_delivery: Callback, timestamp: int = 0
    ) -> None:
        with self._changed:
            if len(self._waiting) >= self.most:
                raise BufferError("full")
            self._waiting.append((Kept(topic, key, value, list(headers), timestamp), on_delivery))
            self._changed.notify_all()

    def poll(self, timeout: float) -> int:
        with self._changed:
            self._changed.wait_for(lambda: self.online and bool(self._waiting), timeout)
            due, self._waiting = (self._waiting, []) if self.online else ([], self._waiting)
        for kept, callback in due:
            error = self.refuse(kept)
            if error is None:
                self.kept.append(kept)
            callback(error, None)
        return len(due)

    def purge(self, in_queue: bool = True, in_flight: bool = True) -> None:
        with self._changed:
            due, self._waiting = self._waiting, []
        for _, callback in due:
            callback(KafkaError(KafkaError._PURGE_QUEUE), None)

    def flush(self, timeout: float) -> int:
        return len(self)

    def __len__(self) -> int:
        return len(self._waiting)

    def records(self, topic: str) -> list[LogRecord]:
        return [codec.decode(kept.key, kept.value, kept.headers) for kept in list(self.kept) if kept.topic == topic]

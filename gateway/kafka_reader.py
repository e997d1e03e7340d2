"""One private consumer in one thread, read from the event loop."""

import asyncio
import threading
from types import TracebackType
from typing import Any, Final, Self

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.error import KafkaError  # type: ignore[attr-defined]

from gateway.log import LogUnavailable, Position, PositionGone, Record
from runtime import kafka

_BATCH: Final = 256
_BATCHES_AHEAD: Final = 4
_POLL_SECONDS: Final = 0.2
_FOLLOWING: Final = {"fetch.wait.max.ms": 5000}
"""only how long the broker holds an answer while there is nothing new"""
_PATIENT: Final = {"fetch.min.bytes": 65536, "fetch.wait.max.ms": 200}
"""the broker answers a few times a second with what has come, and not at each record"""

_GONE: Final = {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}
_MISSING: Final = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION}


class KafkaReader:
    """The consumer is made, used and closed by its own thread. A broker that is away is waited for."""

    def __init__(
        self,
        bootstrap: str,
        client_id: str,
        topic: str,
        start: Position,
        stop: Position | None,
        bulky: bool = False,
        patient: bool = False,
    ) -> None:
        """`bulky`: fewer records ahead. `patient`: a fifth of a second later, for less work."""
        self._bootstrap, self._client_id, self._topic = bootstrap, client_id, topic
        self._start, self._stop, self._bulky, self._patient = start, stop, bulky, patient
        self._open = {p for p in start if stop is None or start[p] < stop.get(p, 0)}
        self._leaving: set[int] = set()
        self._batches: asyncio.Queue[list[Record] | Exception | None] = asyncio.Queue()
        self._slots = threading.Semaphore(_BATCHES_AHEAD)
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name=f"read-{self._topic}", daemon=True)
        self._thread.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The thread sees this within one poll. Nobody waits for it: it owns nothing that others use.
        self._closing.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[Record]:
        batch = await self._batches.get()
        if batch is None:
            self._batches.put_nowait(None)
            raise StopAsyncIteration
        if isinstance(batch, Exception):
            self._batches.put_nowait(None)
            raise batch
        self._slots.release()
        return batch

    def leave(self, partition: int) -> None:
        self._leaving.add(partition)

    def _run(self) -> None:
        ending: Exception | None = None
        try:
            if self._open:
                self._consume()
        except (LogUnavailable, PositionGone) as error:
            ending = error
        except KafkaException as error:
            ending = LogUnavailable(str(error))
        self._post(ending)

    def _consume(self) -> None:
        consumer = kafka.consumer(
            self._bootstrap,
            self._client_id,
            **{
                "queued.min.messages": 50 if self._bulky else 2000,
                "queued.max.messages.kbytes": 8192 if self._bulky else 16384,
                "fetch.max.bytes": 8 * 1024 * 1024,
                "max.partition.fetch.bytes": 4 * 1024 * 1024,
                **(_FOLLOWING if self._stop is None else {}),
                **(_PATIENT if self._patient else {}),
            },
        )
        try:
            consumer.assign([TopicPartition(self._topic, p, self._start[p]) for p in sorted(self._open)])
            while self._open and not self._closing.is_set():
                self._drop_left(consumer)
                # consume() would wait for a full batch or its timeout: poll for the first, then take what is there
                first = consumer.poll(_POLL_SECONDS)
                if first is None:
                    continue
                records = self._accept([first, *consumer.consume(_BATCH - 1, 0)])
                if records and not self._hand_over(records):
                    return
        finally:
            consumer.close()

    def _accept(self, messages: list[Any]) -> list[Record]:
        records = []
        for message in messages:
            partition = message.partition()
            error = message.error()
            if error is not None:
                self._judge(error, partition, message.offset())
                continue
            stop = None if self._stop is None else self._stop[partition]
            if partition in self._open and (stop is None or message.offset() < stop):
                records.append(
                    Record(
                        partition=partition,
                        offset=message.offset(),
                        timestamp_ms=message.timestamp()[1],
                        key=message.key() or b"",
                        value=message.value(),
                        headers=dict(message.headers() or ()),
                    )
                )
            if stop is not None and message.offset() >= stop - 1:
                self._open.discard(partition)
        return records

    def _judge(self, error: Any, partition: int, offset: int) -> None:
        code = error.code()
        if code == KafkaError._PARTITION_EOF:
            # compaction and transaction markers leave holes, so the last offset before a stop may never come
            if self._stop is not None and offset >= self._stop[partition]:
                self._open.discard(partition)
        elif code in _GONE:
            raise PositionGone(f"{self._topic}/{partition}: {error.str()}")
        elif code in _MISSING or error.fatal():
            raise LogUnavailable(f"{self._topic}: {error.str()}")
        # anything else is a broker that is away: librdkafka connects again by itself

    def _drop_left(self, consumer: Consumer) -> None:
        left = self._leaving & self._open
        if left:
            consumer.pause([TopicPartition(self._topic, p) for p in left])
            self._open -= left

    def _hand_over(self, records: list[Record]) -> bool:
        while not self._slots.acquire(timeout=_POLL_SECONDS):
            if self._closing.is_set():
                return False
        self._post(records)
        return True

    def _post(self, item: list[Record] | Exception | None) -> None:
        # a loop that has ended wants nothing any more
        if not self._loop.is_closed():
            try:
                self._loop.call_soon_threadsafe(self._batches.put_nowait, item)
            except RuntimeError:
                return

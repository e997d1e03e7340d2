"""From the cameras' queues to Kafka, in order, each access unit accounted for when Kafka has it."""

import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from ingest.gop_queue import GopQueue, Unit
from ingest.limits import Limits
from runtime import kafka
from runtime.logging import logger
from runtime.metrics import INGEST_BYTES, INGEST_PUBLISHED, INGEST_QUEUE
from schemas import codec
from schemas.messages import End, Gap
from schemas.results import headers_of, key_of, to_json, topic_of
from schemas.topics import FRAMES_BATCH, HOUR_MS

_BATCH: int = 16
"""records taken from one camera before the next has its turn"""
_BUFFER_KBYTES: int = 128 * 1024
_ERROR_LOG_SECONDS: float = 30.0
_OLDEST_MS: int = (FRAMES_BATCH.retention_ms or 0) // 2
_NEWEST_MS: int = HOUR_MS // 2
"""half of what Apache Kafka allows by default"""


def bounded_producer(bootstrap: str, client_id: str, **overrides: Any) -> Producer:
    """A producer that never gives up on a message by itself and never holds more than a set amount."""
    return kafka.producer(
        bootstrap,
        client_id,
        **{
            "delivery.timeout.ms": 0,
            "queue.buffering.max.kbytes": _BUFFER_KBYTES,
            "queue.buffering.max.messages": 20_000,
            "reconnect.backoff.max.ms": 2_000,
            "error_cb": _KafkaErrors(),
            **overrides,
        },
    )


class Publisher:
    """Two threads: one hands records to the producer, one serves the producer's callbacks.

    With two or three frames to a request, and all cameras' at the same time, everything from here to the detector has
    less to do for each (docs/adr/0011-linger.md).
    """

    def __init__(self, producer: Producer, limits: Limits, together_ms: int = 0) -> None:
        """`together_ms`: what has come leaves at its multiples on the wall clock, sooner where much has; 0: at once."""
        self._producer = producer
        self._limits = limits
        self._log = logger("publisher")
        self._lanes: dict[GopQueue, _Lane] = {}
        self._lock = threading.Lock()
        self._together = together_ms / 1000
        self._work = threading.Event()
        self._much = threading.Event()
        self._ready: dict[GopQueue, None] = {}
        self._tombstones: deque[tuple[str, bytes]] = deque()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self.failure = ""
        """why this publisher cannot go on; empty: it can"""

    def start(self) -> None:
        for target in (self._send_all, self._poll):
            thread = threading.Thread(target=target, name=f"publisher-{target.__name__.strip('_')}", daemon=True)
            thread.start()
            self._threads.append(thread)

    @property
    def alive(self) -> bool:
        return not self.failure and all(thread.is_alive() for thread in self._threads)

    def wake(self, queue: GopQueue) -> None:
        """The queue may have something to send."""
        with self._lock:
            self._ready[queue] = None
        if queue.waiting >= _BATCH:
            self._much.set()
        self._work.set()

    def add(
        self, camera: str, topic: str, queue: GopQueue, on_end: Callable[[], None], on_gone: Callable[[], None]
    ) -> None:
        """`on_end`: Kafka has the camera's `end` record. `on_gone`: the retired queue is empty and forgotten.
        Both are called from a thread of the publisher."""
        with self._lock:
            self._lanes[queue] = _Lane(camera, topic, on_end, on_gone)

    def retire(self, queue: GopQueue) -> None:
        """The queue was closed: forget it as soon as it is empty."""
        with self._lock:
            lane = self._lanes.get(queue)
            if lane is not None:
                lane.retired = True
        self.wake(queue)

    def tombstone(self, topic: str, key: bytes) -> None:
        """Returns at once, so that it can be called from the producer's own callbacks."""
        self._tombstones.append((topic, key))
        self._work.set()

    def stop(self) -> int:
        """Waits for Kafka up to the limit, then gives up what is left. Returns how many access units that were."""
        deadline = threading.Event()
        timer = threading.Timer(self._limits.flush_seconds, deadline.set)
        timer.start()
        while not deadline.is_set() and not self._all_idle() and not self.failure:
            self._much.set()
            self._work.set()
            deadline.wait(0.05)
        abandoned = 0
        if not self._all_idle():
            with self._lock:
                queues = list(self._lanes)
            abandoned = sum(queue.unsettled for queue in queues)
            self._producer.purge(in_queue=True, in_flight=True)
            for queue in queues:
                queue.abandon("shutdown")
        timer.cancel()
        self._stopping.set()
        self._much.set()
        self._work.set()
        for thread in self._threads:
            thread.join(5)
        self._producer.flush(2)
        return abandoned

    def _all_idle(self) -> bool:
        with self._lock:
            lanes = list(self._lanes)
        return all(queue.idle for queue in lanes) and not self._tombstones and len(self._producer) == 0

    def _poll(self) -> None:
        while not self._stopping.is_set():
            self._producer.poll(0.2)

    def _send_all(self) -> None:
        try:
            while not self._stopping.is_set():
                if self._work.wait(1.0) and self._together:
                    self._much.wait(self._together - time.time() % self._together)
                    self._much.clear()
                self._work.clear()
                while self._tombstones:
                    self._produce(*self._tombstones.popleft(), None, [], None, None)
                while self._round() and not self._stopping.is_set():
                    pass
        except Exception as error:
            self._log.exception("publisher stopped")
            self.failure = self.failure or f"publisher stopped: {error}"

    def _round(self) -> bool:
        """One turn of every camera; False when none had anything to send."""
        with self._lock:
            ready, self._ready = self._ready, {}
            turns = [(queue, self._lanes[queue]) for queue in ready if queue in self._lanes]
        for queue, lane in turns:
            if self._turn(queue, lane):
                with self._lock:
                    self._ready[queue] = None
        return bool(self._ready)

    def _turn(self, queue: GopQueue, lane: "_Lane") -> bool:
        """True: there may be more."""
        sent = 0
        while sent < _BATCH and (item := queue.take()) is not None:
            sent += 1
            self._send(queue, lane, item)
        for account in queue.settled():
            if account.received:
                entry = account.entry()
                self._produce(topic_of(entry).name, key_of(entry), to_json(entry), headers_of(entry), None, None)
        lane.queued.set(queue.waiting)
        if lane.retired and queue.idle:
            with self._lock:
                self._lanes.pop(queue, None)
            lane.on_gone()
        return sent == _BATCH

    def _send(self, queue: GopQueue, lane: "_Lane", item: Unit | Gap | End) -> None:
        if isinstance(item, Unit):
            wire = codec.encode(item.record)
            callback: Callable[[KafkaError | None, Any], None] = partial(self._landed, queue, lane, item)
        else:
            wire = codec.encode(item)
            callback = partial(self._marked, lane, isinstance(item, End))
        try:
            stamp = record_timestamp(wire.timestamp_ms, time.time_ns() // 1_000_000)
            self._produce(lane.topic, wire.key, wire.value, wire.headers, stamp, callback)
        except KafkaException as error:
            callback(error.args[0], None)

    def _produce(
        self,
        topic: str,
        key: bytes,
        value: bytes | None,
        headers: list[tuple[str, bytes]],
        timestamp_ms: int | None,
        callback: Callable[[KafkaError | None, Any], None] | None,
    ) -> None:
        while True:
            try:
                self._producer.produce(
                    topic,
                    value,
                    key,
                    headers=_for_client(headers),
                    timestamp=timestamp_ms or 0,
                    on_delivery=callback or partial(self._other, topic),
                )
                return
            except BufferError:
                # the producer is full, so Kafka is away or slow: the queues hold, and drop by their own rule
                if self._stopping.wait(0.02):
                    raise KafkaException(KafkaError(KafkaError._QUEUE_FULL)) from None

    def _landed(self, queue: GopQueue, lane: "_Lane", unit: Unit, error: KafkaError | None, _: Any) -> None:
        if error is None:
            lane.published.inc()
            lane.bytes.inc(len(unit.record.data))
            queue.acknowledged(unit)
            return
        reason = _reason(error)
        if reason != "shutdown":
            self._report(error, lane.topic)
        queue.failed(unit, reason)

    def _marked(self, lane: "_Lane", is_end: bool, error: KafkaError | None, _: Any) -> None:
        if error is not None:
            self._report(error, lane.topic)
        elif is_end:
            lane.on_end()

    def _other(self, topic: str, error: KafkaError | None, _: Any) -> None:
        if error is not None:
            self._report(error, topic)

    def _report(self, error: KafkaError, topic: str) -> None:
        self._log.error("Kafka refused a record", topic=topic, error=error.str())
        if error.fatal():
            self.failure = self.failure or f"the producer cannot go on: {error.str()}"


class _KafkaErrors:
    """Says in the log that Kafka is away, once in a while."""

    def __init__(self) -> None:
        self._log = logger("kafka")
        self._said: float | None = None

    def __call__(self, error: KafkaError) -> None:
        now = time.monotonic()
        if self._said is None or now - self._said > _ERROR_LOG_SECONDS:
            self._said = now
            self._log.warning("Kafka cannot be reached; access units wait", error=error.str())


class _Lane:
    """One camera's way to its topic."""

    def __init__(self, camera: str, topic: str, on_end: Callable[[], None], on_gone: Callable[[], None]) -> None:
        self.topic, self.on_end, self.on_gone = topic, on_end, on_gone
        self.retired = False
        self.queued = INGEST_QUEUE.labels(camera)
        self.published = INGEST_PUBLISHED.labels(camera)
        self.bytes = INGEST_BYTES.labels(camera)


def record_timestamp(captured_ms: int, now_ms: int) -> int:
    """Kafka's timestamp of a record: the capture time, unless retention would delete the record at once or the broker
    refuse it as coming from the future, as with a recording of last year. The header `captured_ns` is always true."""
    return captured_ms if now_ms - _OLDEST_MS <= captured_ms <= now_ms + _NEWEST_MS else now_ms


def _for_client(headers: codec.Headers) -> list[tuple[str, str | bytes | None]]:
    """The type that the client declares; lists do not convert by themselves."""
    return [(name, value) for name, value in headers]


def _reason(error: KafkaError) -> str:
    purged = (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT, KafkaError._QUEUE_FULL)
    if error.code() in purged:
        return "shutdown"
    return "too_large" if error.code() == KafkaError.MSG_SIZE_TOO_LARGE else "refused_by_kafka"

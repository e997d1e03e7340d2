"""Results into Kafka through confluent-kafka: microseconds a record where Faust's own producer takes hundreds."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from confluent_kafka import KafkaError, Message

from processors.ports import Delivered
from runtime.kafka import producer
from runtime.logging import logger
from runtime.metrics import WORKER_RETRIES
from schemas.results import Result, key_of, to_json, topic_of
from schemas.topics import CHECKPOINTS

BUFFERED_MESSAGES: Final = 10_000

_log = logger("publisher")


class KafkaPublisher:
    """One per process. `on_failure` is called on the loop when a record can never be delivered: the process must end
    before its next checkpoint."""

    def __init__(self, bootstrap: str, client_id: str, on_failure: Callable[[str], None], linger_ms: int = 2) -> None:
        self._on_failure = on_failure
        self._loop = asyncio.get_running_loop()
        self._producer = producer(
            bootstrap,
            client_id,
            **{
                # 0: for ever. A broker that is away means waiting, not losing.
                "delivery.timeout.ms": 0,
                "linger.ms": linger_ms,
                "queue.buffering.max.messages": BUFFERED_MESSAGES,
                "error_cb": self._error,
            },
        )
        self._answered: deque[tuple[KafkaError | None, str, Delivered]] = deque()
        """by the broker, and not told yet"""
        self._telling = False
        self._stop = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="publisher", daemon=True)
        self._poller.start()

    async def publish(self, message: Result, headers: list[tuple[str, bytes]], delivered: Delivered) -> None:
        await self._produce(topic_of(message).name, key_of(message), to_json(message), headers, delivered)

    async def forget_checkpoint(self, camera: str, delivered: Delivered) -> None:
        await self._produce(CHECKPOINTS.name, camera.encode(), None, [], delivered)

    async def stop(self, timeout: float = 10.0) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self._producer.flush, timeout)
        self._stop.set()
        self._poller.join(2)

    async def _produce(
        self, topic: str, key: bytes, value: bytes | None, headers: list[tuple[str, bytes]], delivered: Delivered
    ) -> None:
        def acknowledged(error: KafkaError | None, _: Message) -> None:
            # called in the polling thread, mostly for several records at once: the loop is woken for all of them
            self._answered.append((error, topic, delivered))
            if not self._telling and not self._loop.is_closed():
                self._telling = True
                self._loop.call_soon_threadsafe(self._tell)

        while True:
            try:
                self._producer.produce(topic, value, key, headers=[*headers], on_delivery=acknowledged)
                return
            except BufferError:
                WORKER_RETRIES.labels("kafka").inc()
                await asyncio.sleep(0.05)

    def _tell(self) -> None:
        # first of all: what is answered from here on wakes the loop again
        self._telling = False
        while self._answered:
            error, topic, delivered = self._answered.popleft()
            if error is None:
                delivered()
            else:
                self._on_failure(f"{topic}: {error.str()}")

    def _poll(self) -> None:
        while not self._stop.is_set():
            self._producer.poll(0.1)

    def _error(self, error: Any) -> None:
        _log.warning("kafka", error=str(error))

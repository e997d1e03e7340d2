"""What a worker says of itself: health, lag, heartbeats; and the end of a worker that is alive but stuck."""

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Any, Final

from processors.ports import Publisher
from processors.triton import TritonDetector
from processors.worker import CameraWorker
from runtime.config import Settings
from runtime.health import HealthServer
from runtime.logging import logger
from runtime.metrics import WORKER_LAG
from schemas.messages import Heartbeat

_log = logger("watch")

HEARTBEAT_SECONDS: Final = 5.0


class Watch:
    def __init__(
        self,
        process: str,
        settings: Settings,
        worker: CameraWorker,
        detector: TritonDetector,
        publisher: Publisher,
        consumer: Callable[[], Any],
        crashed: list[BaseException],
    ) -> None:
        self._process = process
        self._worker, self._detector, self._publisher = worker, detector, publisher
        self._consumer = consumer
        self._crashed = crashed
        self._assigned = False
        self._health = HealthServer(settings.http_host, settings.http_port, self._live, self._ready)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        await self._health.start()
        _log.info("listening", port=self._health.port)
        self._tasks = [asyncio.create_task(self._beat()), asyncio.create_task(self._measure_lag())]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._health.stop()

    def _live(self) -> str:
        return repr(self._crashed[0]) if self._crashed else ""

    def _ready(self) -> str:
        if not self._assigned:
            return "no partitions assigned yet"
        return "" if self._detector.healthy else "triton does not answer"

    async def _beat(self) -> None:
        while True:
            await self._publisher.publish(
                Heartbeat(self._process, "worker", socket.gethostname(), os.getpid(), self._worker.cameras, {}),
                [],
                lambda: None,
            )
            await asyncio.sleep(HEARTBEAT_SECONDS)

    async def _measure_lag(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            consumer = self._consumer()
            assignment = consumer.assignment()
            self._assigned = self._assigned or bool(assignment)
            for tp in assignment:
                position = self._worker.position((tp.topic, tp.partition))
                high = consumer.highwater(tp)
                if position is not None and high is not None:
                    WORKER_LAG.labels(tp.topic, str(tp.partition)).set(max(0, high - position))

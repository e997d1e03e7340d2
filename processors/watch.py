"""What a worker says of itself: health, lag, heartbeats; and the end of a worker that is alive but stuck."""

import asyncio
import os
from collections.abc import Callable
from typing import Any, Final

from processors.commit_points import Partition
from processors.errors import FatalError, RetryError
from processors.pace import MeasuredPace
from processors.triton import TritonDetector
from processors.watchdog import LoopWatch, StuckDetector
from processors.watermarks import Watermarks
from processors.worker import CameraWorker
from runtime.config import Settings
from runtime.health import HealthServer
from runtime.heartbeat import Heart
from runtime.logging import logger
from runtime.metrics import WORKER_LAG

_log = logger("watch")

LOOK_SECONDS: Final = 0.25
"""how exactly the arrival of records is known that wait"""


class Watch:
    def __init__(
        self,
        settings: Settings,
        worker: CameraWorker,
        detector: TritonDetector,
        pace: MeasuredPace,
        consumer: Callable[[], Any],
        watermarks: Watermarks,
        crashed: list[BaseException],
        crash: Callable[[BaseException], None],
    ) -> None:
        self._worker, self._detector = worker, detector
        self._pace, self._consumer, self._watermarks = pace, consumer, watermarks
        self._crashed, self._crash = crashed, crash
        self._stuck = StuckDetector()
        self._loop_watch = LoopWatch(_end_at_once)
        self._assigned = False
        self._health = HealthServer(settings.http_host, settings.http_port, self._live, self._ready)
        self._heart = Heart(settings, "worker", lambda: worker.cameras, pace.details)
        self._measuring: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._health.start()
        _log.info("listening", port=self._health.port)
        self._loop_watch.start()
        self._heart.start()
        self._measuring = asyncio.create_task(self._measure_lag())
        self._measuring.add_done_callback(self._measured)

    async def stop(self) -> None:
        self._loop_watch.stop()
        if self._measuring is not None:
            self._measuring.cancel()
            await asyncio.gather(self._measuring, return_exceptions=True)
        await self._heart.stop()
        await self._health.stop()

    def _live(self) -> str:
        return repr(self._crashed[0]) if self._crashed else ""

    def _ready(self) -> str:
        if not self._assigned:
            return "no partitions assigned yet"
        return "" if self._detector.healthy else "triton does not answer"

    def _measured(self, task: asyncio.Task[None]) -> None:
        """It has no end. Broken off without a word, it would have the loop taken for dead."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._crash(error)

    async def _measure_lag(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self._loop_watch.tick()
            consumer = self._consumer()
            assignment = consumer.assignment()
            self._assigned = self._assigned or bool(assignment)
            self._stuck.keep({(tp.topic, tp.partition) for tp in assignment})
            ends: dict[Partition, tuple[int, int, int]] = {}
            for tp in assignment:
                partition = tp.topic, tp.partition
                position, safe = self._worker.position(partition), self._worker.safe(partition)
                high = consumer.highwater(tp)
                if position is not None and safe is not None and high is not None:
                    ends[partition] = high, position, safe
                    WORKER_LAG.labels(tp.topic, str(tp.partition)).set(max(0, high - position))
                    await self._end_if_stuck(partition, position, high)
            self._pace.look(ends, self._worker.cameras, asyncio.get_running_loop().time())

    async def _end_if_stuck(self, partition: Partition, position: int, high: int) -> None:
        now = asyncio.get_running_loop().time()
        if not self._stuck.observe(partition, position, high, now, waiting=not self._detector.healthy):
            return
        try:
            # while nothing is fetched the consumer does not hear how far the log has come, nor whether Kafka is there
            _, high = (await asyncio.to_thread(self._watermarks, [partition]))[partition]
        except RetryError:
            self._stuck.observe(partition, position, high, now, waiting=True)
            return
        why = f"stuck: {partition[0]}/{partition[1]} stands at {position} while the log has come to {high}"
        _log.critical("ends itself", why=why)
        self._crash(FatalError(why))


def _end_at_once() -> None:
    """The loop is blocked: nothing that would have to run in it can end the process properly."""
    _log.critical("ends itself", why="the event loop stands")
    os._exit(70)

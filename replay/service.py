"""The replayer process: failed windows are tried again by themselves, until they succeed or are given up, and what was
shed is looked at when there is room. Beside them, requested replays are carried out.

What is to be done is a topic, what is done its committed offset: nothing is lost with the process. One window at a
time, each in a process of its own (replay/attempt.py); several replayers share the partitions.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from confluent_kafka import KafkaError, KafkaException

from processors.keyframe_index import KeyframeIndex
from processors.triton import TritonDetector
from replay.attempt import COMMAND, Attempt, attempt
from replay.backfill import told
from replay.jobs import Jobs
from replay.lane import Backfills, Desk, Failures, Lane
from replay.log import LogSilentError
from replay.publish import PublishError, publish_failure
from replay.room import crowded
from runtime.config import Settings
from runtime.health import HealthServer
from runtime.heartbeat import Heart
from runtime.kafka import consumer
from runtime.logging import logger
from schemas.messages import FailedWindow
from schemas.topics import FAILED_WINDOWS

_POLL_SECONDS: Final = 0.5
_LONGEST_ATTEMPT_MS: Final = 3_600_000
_log = logger("replayer")


class Replayer:
    def __init__(self, settings: Settings, lane: Lane, command: Sequence[str] = COMMAND) -> None:
        self._settings, self._lane, self._command = settings, lane, command
        self._consumer = consumer(
            settings.kafka,
            lane.group,
            **{
                "auto.offset.reset": "earliest",
                "enable.partition.eof": False,
                # an attempt may have to look at a long stretch; a dead process is noticed by its missing heartbeats
                "max.poll.interval.ms": _LONGEST_ATTEMPT_MS,
                "session.timeout.ms": 6000,
            },
        )
        self.joined = False
        self.trouble = ""

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. An attempt that is under way is dropped: it will be made again."""
        running = asyncio.create_task(self._run())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()
        finally:
            for task in (running, stopping):
                task.cancel()
            await asyncio.gather(running, stopping, return_exceptions=True)
            # a poll that is under way in its thread cannot be cancelled
            await asyncio.sleep(_POLL_SECONDS)
            await asyncio.to_thread(self._consumer.close)

    async def _run(self) -> None:
        self._consumer.subscribe([FAILED_WINDOWS.name], on_assign=self._assigned)
        while True:
            message = await asyncio.to_thread(self._consumer.poll, _POLL_SECONDS)
            if message is None:
                continue
            error = message.error()
            if error is not None:
                self.trouble = error.str()
                _log.warning("waiting for the log", why=error.str())
                continue
            self.trouble = ""
            await self._take(message)
            await self._commit(message)

    async def _take(self, message: Any) -> None:
        try:
            window = msgspec.json.decode(message.value() or b"", type=FailedWindow)
        except msgspec.DecodeError as error:
            _log.error("unreadable failed window", offset=message.offset(), why=str(error))
            return
        if window.given_up or not self._lane.takes(window):
            return
        async with self._lane.turn(window, message.timestamp()[1]):
            failure = await self._patiently(window)
        self._lane.looked(window, failure)

    async def _patiently(self, window: FailedWindow) -> FailedWindow | None:
        """While Kafka does not answer, an attempt does not count."""
        task = Attempt(
            window,
            self._settings.kafka,
            self._settings.triton,
            self._settings.triton_shared_memory,
            self._settings.decode_threads,
            self._settings.log_level,
            self._settings.log_json,
        )
        while True:
            try:
                failure = await attempt(task, self._command)
                if failure is not None and not told(failure):
                    await asyncio.to_thread(publish_failure, self._settings.kafka, failure)
                self.trouble = ""
                return failure
            except (LogSilentError, PublishError) as error:
                self.trouble = str(error)
                _log.warning("waiting for the log", why=str(error))
                await asyncio.sleep(1.0)

    async def _commit(self, message: Any) -> None:
        try:
            await asyncio.to_thread(self._consumer.commit, message=message, asynchronous=False)
        except KafkaException as error:
            # somebody else has the partition now, or the log is away: it is tried once more, which changes nothing
            if error.args[0].code() != KafkaError._NO_OFFSET:
                _log.warning("not committed", why=str(error))

    def _assigned(self, _: object, partitions: list[Any]) -> None:
        self.joined = True
        self._lane.assigned()
        _log.info("assigned", partitions=len(partitions))


async def serve(settings: Settings, stop: asyncio.Event, command: Sequence[str] = COMMAND) -> None:
    """The composition root. `command` makes the attempts."""
    detector = TritonDetector(settings.triton, settings.triton_shared_memory)
    index = KeyframeIndex(settings.redis)
    desk = Desk()
    lanes = (Failures(desk), Backfills(desk, lambda: crowded(settings.kafka)))
    replayers = [Replayer(settings, lane, command) for lane in lanes]
    jobs = Jobs(settings, detector, index)

    def ready() -> str:
        parts = [(one.joined, one.trouble) for one in replayers] + [(jobs.joined, jobs.trouble)]
        troubles = [trouble if joined else "no partitions assigned yet" for joined, trouble in parts]
        return "; ".join(filter(None, troubles))

    health = HealthServer(settings.http_host, settings.http_port, lambda: "", ready)
    await health.start()
    heart = Heart(settings, "replayer")
    heart.start()
    _log.info("listening", port=health.port)
    requested = asyncio.create_task(jobs.run())
    requested.add_done_callback(lambda _: stop.set())
    try:
        async with asyncio.TaskGroup() as running:
            for replayer in replayers:
                running.create_task(replayer.run(stop))
    finally:
        requested.cancel()
        await asyncio.wait({requested})
        await heart.stop()
        await health.stop()
        await detector.stop()
        index.close()
    if not requested.cancelled():
        requested.result()

"""The replayer process: failed windows are tried again by themselves, until they succeed or are given up, and what was
shed is looked at when there is room. Beside them, requested replays are carried out (replay/jobs.py).

What is to be done is a topic, what is done its committed offset: nothing is lost with the process. One window at a
time, each in a process of its own (replay/attempt.py); several replayers share the partitions.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from replay import errand
from replay.attempt import COMMAND, Attempt, attempt
from replay.backfill import told
from replay.child import Surroundings
from replay.jobs import Jobs
from replay.lane import Backfills, Desk, Failures, Lane
from replay.log import LogSilentError
from replay.member import Member
from replay.publish import PublishError, publish_failure
from replay.room import crowded
from runtime.config import Settings
from runtime.health import HealthServer
from runtime.heartbeat import Heart
from runtime.logging import logger
from schemas.messages import FailedWindow
from schemas.topics import FAILED_WINDOWS

_LONGEST_ATTEMPT_SECONDS: Final = 3600
_log = logger("replayer")


class Replayer:
    def __init__(self, settings: Settings, lane: Lane, command: Sequence[str] = COMMAND) -> None:
        self._settings, self._lane, self._command = settings, lane, command
        # an attempt may have to look at a long stretch
        self.member: Final = Member(
            settings.kafka, lane.group, FAILED_WINDOWS.name, lambda _: lane.assigned(), _LONGEST_ATTEMPT_SECONDS
        )

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
            await self.member.close()

    async def _run(self) -> None:
        async for message in self.member.records():
            await self._take(message)
            await self.member.commit(message.partition(), message.offset())

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
        task = Attempt(Surroundings.of(self._settings), window)
        while True:
            try:
                failure = await attempt(task, self._command)
                if failure is not None and not told(failure):
                    await asyncio.to_thread(publish_failure, self._settings.kafka, failure)
                self.member.trouble = ""
                return failure
            except (LogSilentError, PublishError) as error:
                self.member.waits(str(error))
                await asyncio.sleep(1.0)


async def serve(
    settings: Settings, stop: asyncio.Event, attempts: Sequence[str] = COMMAND, errands: Sequence[str] = errand.COMMAND
) -> None:
    """The composition root. `attempts` and `errands`: the commands that make them."""
    desk = Desk()
    lanes = (Failures(desk), Backfills(desk, lambda: crowded(settings.kafka)))
    replayers = [Replayer(settings, lane, attempts) for lane in lanes]
    jobs = Jobs(settings, errands)

    def ready() -> str:
        members = [*(one.member for one in replayers), jobs.member]
        troubles = [one.trouble if one.joined else "no partitions assigned yet" for one in members]
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
    if not requested.cancelled():
        requested.result()

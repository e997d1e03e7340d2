"""Requested replays, one at a time, in the order in which they came, each in a process of its own (replay/errand.py).

What is wanted is a topic, what is done its committed offset: a replayer that dies in the middle of a request does it
again, which gives the same results. A cancellation comes as a later record of the same key, so the topic is read on
while a request is carried out.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any, Final, Literal

import msgspec

from replay.child import Surroundings
from replay.errand import COMMAND, Errand, run
from replay.log import LogSilentError
from replay.member import Member
from replay.publish import PublishError, publish_state
from runtime.config import Settings
from runtime.logging import logger
from runtime.metrics import REPLAY_REQUESTS
from schemas.messages import ReplayEntry, ReplayRequest, ReplayState
from schemas.topics import REPLAYS

GROUP: Final = "rewatch-replays"
_PAUSE_SECONDS: Final = 1.0

_decode: msgspec.json.Decoder[ReplayEntry] = msgspec.json.Decoder(ReplayEntry)
_log = logger("replayer")


Dropped = Literal["cancelled", "finished", "elsewhere"]
"""finished: by a process that did not live to commit it; elsewhere: another process has the partition now"""


class _Job:
    def __init__(self, request: ReplayRequest, partition: int, offset: int) -> None:
        self.request, self.partition, self.offset = request, partition, offset
        self.dropped: Dropped | None = None


class Jobs:
    def __init__(self, settings: Settings, command: Sequence[str] = COMMAND) -> None:
        self._settings, self._command = settings, command
        self.member: Final = Member(settings.kafka, GROUP, REPLAYS.name, self._keep)
        self._jobs: OrderedDict[str, _Job] = OrderedDict()
        """by id, in the order of their coming"""
        self._arrived = asyncio.Event()
        self._current: _Job | None = None
        self._carrying: asyncio.Task[ReplayState] | None = None

    async def run(self) -> None:
        """Until cancelled. A request that is under way is dropped: it will be carried out again."""
        polling = asyncio.create_task(self._poll())
        working = asyncio.create_task(self._work())
        try:
            await asyncio.wait({polling, working}, return_when=asyncio.FIRST_COMPLETED)
            for task in (polling, working):
                if task.done():
                    task.result()
        finally:
            for task in (polling, working):
                task.cancel()
            await asyncio.gather(polling, working, return_exceptions=True)
            await self.member.close()

    # --- what comes -------------------------------------------------------------------------------------------------

    async def _poll(self) -> None:
        async for message in self.member.records():
            self._take(message)

    def _keep(self, assigned: set[int]) -> None:
        """Whoever has a partition now begins at its committed offset."""
        for job in [job for job in self._jobs.values() if job.partition not in assigned]:
            self._drop(job, "elsewhere")

    def _take(self, message: Any) -> None:
        try:
            entry = _decode.decode(message.value() or b"")
        except msgspec.DecodeError as error:
            _log.error("unreadable replay", partition=message.partition(), offset=message.offset(), why=str(error))
            return
        job = self._jobs.get(entry.id)
        if isinstance(entry, ReplayState):
            if job is not None and entry.state != "running":
                self._drop(job, "finished")
        elif entry.cancelled:
            if job is not None:
                self._drop(job, "cancelled")
        elif job is None:
            self._jobs[entry.id] = _Job(entry, message.partition(), message.offset())
            self._arrived.set()

    def _drop(self, job: _Job, why: Dropped) -> None:
        job.dropped = why
        if why == "elsewhere":
            # it may come back, and is then another
            del self._jobs[job.request.id]
        if self._carrying is not None and self._current is job:
            self._carrying.cancel()

    # --- what is done -----------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        while True:
            self._arrived.clear()
            if not self._jobs:
                await self._arrived.wait()
            job = self._current = next(iter(self._jobs.values()))
            state = None if job.dropped else await self._carried_out(job)
            if state is None and job.dropped == "cancelled":
                state = ReplayState(job.request.id, "cancelled")
            if job.dropped == "elsewhere":
                continue
            # its final state comes back by the topic: by then nothing is known of it here
            del self._jobs[job.request.id]
            if state is not None:
                await self._tell(state)
                REPLAY_REQUESTS.labels(job.request.kind, state.state).inc()
                _log.info("replay ended", replay=state.id, state=state.state, why=state.reason)
            await self.member.commit(job.partition, job.offset)

    async def _carried_out(self, job: _Job) -> ReplayState | None:
        """None: it was dropped."""
        self._carrying = asyncio.create_task(self._patiently(job.request))
        try:
            await asyncio.wait({self._carrying})
            return None if self._carrying.cancelled() else self._carrying.result()
        finally:
            self._carrying.cancel()
            await asyncio.gather(self._carrying, return_exceptions=True)
            self._carrying = None

    async def _patiently(self, request: ReplayRequest) -> ReplayState:
        """While Kafka does not answer it is begun again."""
        _log.info("replay begins", replay=request.id, camera=request.camera, kind=request.kind)
        errand = Errand(Surroundings.of(self._settings), request)
        while True:
            try:
                async with aclosing(run(errand, self._command)) as states:
                    async for state in states:
                        self.member.trouble = ""
                        if state.state != "running":
                            return state
                        await self._tell(state)
                return ReplayState(request.id, "failed", reason="the replay ended without a word")
            except LogSilentError as error:
                self.member.waits(str(error))
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _tell(self, state: ReplayState) -> None:
        while True:
            try:
                await asyncio.to_thread(publish_state, self._settings.kafka, state)
                return
            except PublishError as error:
                self.member.waits(str(error))
                await asyncio.sleep(_PAUSE_SECONDS)

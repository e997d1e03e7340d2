"""Requested replays, one at a time, in the order in which they came.

What is wanted is a topic, what is done its committed offset: a replayer that dies in the middle of a request does it
again, which gives the same results. A cancellation comes as a later record of the same key, so the topic is read on
while a request is carried out.
"""

import asyncio
from collections import OrderedDict
from typing import Any, Final, Literal

import msgspec
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from processors.keyframe_index import KeyframeIndex
from processors.ports import Detector
from replay.log import LogGoneError, LogSilentError
from replay.publish import PublishError, publish_state
from replay.request import carry_out, report
from runtime.config import Settings
from runtime.kafka import consumer
from runtime.logging import logger
from runtime.metrics import REPLAY_REQUESTS
from schemas.messages import Detections, ReplayEntry, ReplayRequest, ReplayState
from schemas.results import Result
from schemas.topics import MAX_RESULT_BYTES, REPLAYS

GROUP: Final = "rewatch-replays"
_POLL_SECONDS: Final = 0.5
_TELL_SECONDS: Final = 1.0
_PAUSE_SECONDS: Final = 1.0
_REPORT_BYTES: Final = MAX_RESULT_BYTES // 2

_decode: msgspec.json.Decoder[ReplayEntry] = msgspec.json.Decoder(ReplayEntry)
_log = logger("replayer")


Dropped = Literal["cancelled", "finished", "elsewhere"]
"""finished: by a process that did not live to commit it; elsewhere: another process has the partition now"""


class _Job:
    def __init__(self, request: ReplayRequest, partition: int, offset: int) -> None:
        self.request, self.partition, self.offset = request, partition, offset
        self.dropped: Dropped | None = None


class Jobs:
    """`trouble`: why nothing goes on at the moment; empty when all is well."""

    def __init__(self, settings: Settings, detector: Detector, index: KeyframeIndex) -> None:
        self._settings, self._detector, self._index = settings, detector, index
        self._consumer = consumer(
            settings.kafka,
            GROUP,
            **{"auto.offset.reset": "earliest", "enable.partition.eof": False, "session.timeout.ms": 6000},
        )
        self._jobs: OrderedDict[str, _Job] = OrderedDict()
        """by id, in the order of their coming"""
        self._arrived = asyncio.Event()
        self._current: _Job | None = None
        self._carrying: asyncio.Task[ReplayState] | None = None
        self._assigned: set[int] | None = None
        self.joined = False
        self.trouble = ""

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
            # a poll that is under way in its thread cannot be cancelled
            await asyncio.sleep(_POLL_SECONDS)
            await asyncio.to_thread(self._consumer.close)

    # --- what comes -------------------------------------------------------------------------------------------------

    async def _poll(self) -> None:
        self._consumer.subscribe([REPLAYS.name], on_assign=self._on_assign)
        while True:
            message = await asyncio.to_thread(self._consumer.poll, _POLL_SECONDS)
            self._keep_assigned()
            if message is None:
                continue
            error = message.error()
            if error is not None:
                self.trouble = error.str()
                _log.warning("waiting for the log", why=error.str())
                continue
            self.trouble = ""
            self._take(message)

    def _on_assign(self, _: object, partitions: list[Any]) -> None:
        # called in the polling thread
        self._assigned = {partition.partition for partition in partitions}

    def _keep_assigned(self) -> None:
        """Whoever has a partition now begins at its committed offset."""
        assigned, self._assigned = self._assigned, None
        if assigned is None:
            return
        self.joined = True
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
            await self._commit(job)

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
        while True:
            try:
                state = await self._once(request)
                self.trouble = ""
                return state
            except (LogSilentError, PublishError) as error:
                self.trouble = str(error)
                _log.warning("waiting for the log", why=str(error))
                await asyncio.sleep(_PAUSE_SECONDS)
            except (LogGoneError, ValueError, msgspec.ValidationError) as error:
                return ReplayState(request.id, "failed", reason=str(error))
            except Exception as error:
                # a request that no replayer survives must not come back for ever
                _log.exception("replay broken", replay=request.id)
                return ReplayState(request.id, "failed", reason=f"the replayer failed: {error!r}")

    async def _once(self, request: ReplayRequest) -> ReplayState:
        progress = _Progress(request)
        telling = asyncio.create_task(self._keep_telling(progress))
        try:
            again, published = await carry_out(self._settings, self._detector, request, progress.take, self._index)
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
        found = _short(report(again, published))
        return msgspec.structs.replace(progress.state(), state="done", frames=again.frames, report=found)

    async def _keep_telling(self, progress: "_Progress") -> None:
        told = None
        while True:
            if (state := progress.state()) != told:
                await self._tell(state)
                told = state
            await asyncio.sleep(_TELL_SECONDS)

    async def _tell(self, state: ReplayState) -> None:
        while True:
            try:
                await asyncio.to_thread(publish_state, self._settings.kafka, state)
                return
            except PublishError as error:
                self.trouble = str(error)
                _log.warning("waiting for the log", why=str(error))
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _commit(self, job: _Job) -> None:
        behind = TopicPartition(REPLAYS.name, job.partition, job.offset + 1)
        try:
            await asyncio.to_thread(self._consumer.commit, offsets=[behind], asynchronous=False)
        except KafkaException as error:
            # somebody else has the partition now, or the log is away: its final state says that it is done
            if error.args[0].code() != KafkaError._NO_OFFSET:
                _log.warning("not committed", why=str(error))


class _Progress:
    def __init__(self, request: ReplayRequest) -> None:
        self._request = request
        self._until_ns, self._frames = request.from_ns, 0

    def take(self, message: Result) -> None:
        if isinstance(message, Detections) and message.captured_ns >= self._request.from_ns:
            self._frames += 1
            self._until_ns = max(self._until_ns, message.captured_ns)

    def state(self) -> ReplayState:
        seconds = (self._until_ns - self._request.from_ns) / 1e9
        return ReplayState(self._request.id, "running", round(seconds, 3), self._frames)


def _short(found: dict[str, Any]) -> dict[str, Any]:
    """What fits into a record: the last events are left out, and counted."""
    events = found["events"]
    kept, size = 0, 0
    for event in events:
        size += len(msgspec.json.encode(event))
        if size > _REPORT_BYTES:
            break
        kept += 1
    return found if kept == len(events) else {**found, "events": events[:kept], "events_left_out": len(events) - kept}

"""One uploaded file on its way through the system, as a camera of its own."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from gateway.log import Log, Position, Record
from gateway.tally import Tally, decode_ledger
from schemas.analysis import Analysis, CameraSpec, Source
from schemas.ledger import Ledger
from schemas.partition import partition_of
from schemas.topics import CAMERAS, DETECTIONS, EVENTS, FLOW

State = Literal["queued", "running", "done", "failed", "cancelled"]

PREFIX: Final = "job-"
START_NS: Final = 0
"""Capture times of a file are its own times: the same file gives the same results whenever it is analysed."""
MAX_SECONDS: Final = 6 * 3600.0
_LATE_LEDGER_SECONDS: Final = 5.0
_RESULTS: Final = (DETECTIONS.name, EVENTS.name, FLOW.name)


def is_upload(key: bytes) -> bool:
    """Whether a record belongs to an uploaded file, by its key."""
    return key.startswith(PREFIX.encode())


class JobFailed(Exception):
    """`status` is what a waiting client is answered with."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Job:
    """`stall_seconds`: how long nothing may be heard of the file before it is given up."""

    def __init__(
        self, job_id: str, file: Path, file_name: str, analysis: Analysis, now: float, stall_seconds: float
    ) -> None:
        self.id, self.file, self.file_name, self.analysis = job_id, file, file_name, analysis
        self.created = now
        self.finished: float | None = None
        self.state: State = "queued"
        self.error = ""
        self.status = 200
        self.result: dict[str, Any] | None = None
        self.analysed = 0
        self.ledger = Ledger()
        self.task: asyncio.Task[None] | None = None
        self._stall_seconds = stall_seconds
        self._heard = 0.0
        self._changed = asyncio.Event()

    def spec(self) -> CameraSpec:
        deadline = str(int(self.created + MAX_SECONDS))
        return CameraSpec(
            id=self.id,
            source=Source(url=str(self.file), pace="max", start_ns=START_NS),
            analysis=self.analysis,
            batch=True,
            labels={"file": self.file_name[:200], "deadline": deadline},
        )

    def on_ledger(self, record: Record) -> None:
        entry = decode_ledger(record)
        if entry is not None:
            self.ledger.add(entry)
            self._touch()

    def on_detections(self) -> None:
        self.analysed += 1
        self._touch()

    def _touch(self) -> None:
        self._heard = asyncio.get_running_loop().time()
        self._changed.set()

    async def run(self, log: Log, hint: Callable[[], str]) -> None:
        """Sets `result`. Raises JobFailed, LogUnavailable. `hint` says what might be wrong when nothing happens."""
        before = {topic: self._own(await log.ends(topic)) for topic in _RESULTS}
        self._heard = asyncio.get_running_loop().time()
        await log.publish(CAMERAS.name, self.id.encode(), msgspec.json.encode(self.spec()))
        try:
            await asyncio.wait_for(self._until_end(hint), MAX_SECONDS)
        except TimeoutError as error:
            raise JobFailed(504, f"not done after {MAX_SECONDS / 3600:.0f} hours") from error
        tally = Tally(self.analysis)
        for topic in _RESULTS:
            # everything was acknowledged before the end was told: what lies below this mark is all there is
            stop = self._own(await log.ends(topic))
            async with log.reader(topic, before[topic], stop) as reader:
                async for batch in reader:
                    for record in batch:
                        if record.key == self.id.encode():
                            tally.add(topic, record)
        self._conclude(tally)

    def _conclude(self, tally: Tally) -> None:
        frames = self.ledger.frames()
        end = self.ledger.end
        assert end is not None
        # people know the file by the name that they gave it
        trouble = (end.error or self.ledger.failure()).replace(str(self.file), self.file_name)
        if end.error and not frames.published:
            raise JobFailed(422, f"file: {trouble}")
        if trouble and not frames.inferred:
            raise JobFailed(422, trouble)
        self.result = {"job": self.id, "file": self.file_name, **tally.result(self.ledger)}
        if trouble:
            self.result["error"] = trouble

    def _own(self, position: Position) -> Position:
        partition = partition_of(self.id.encode(), len(position))
        return {partition: position[partition]}

    async def _until_end(self, hint: Callable[[], str]) -> None:
        while self.ledger.end is None:
            await self._change(self._heard + self._stall_seconds)
            if self.ledger.end is None and asyncio.get_running_loop().time() - self._heard > self._stall_seconds:
                raise JobFailed(503, f"nothing was heard of the file for {self._stall_seconds:.0f} s; {hint()}")
        # the edge writes its own entries: the last may come after the worker's end
        late = asyncio.get_running_loop().time() + _LATE_LEDGER_SECONDS
        while self.ledger.frames().published < self.ledger.end.published and asyncio.get_running_loop().time() < late:
            await self._change(late)

    async def _change(self, until: float) -> None:
        self._changed.clear()
        try:
            async with asyncio.timeout_at(until + 0.01):
                await self._changed.wait()
        except TimeoutError:
            return

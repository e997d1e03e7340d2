"""All uploads under way: some run, some wait, the finished ones are remembered for a while."""

import asyncio
import contextlib
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gateway.hub import Hub
from gateway.job import MAX_SECONDS, PREFIX, Job, JobFailed, is_upload
from gateway.log import Log, LogUnavailable, PositionGone, Record
from gateway.roster import Roster
from runtime.logging import logger
from schemas.analysis import Analysis
from schemas.topics import CAMERAS

RUNNING: Final = 2
WAITING: Final = 16
STALL_SECONDS: Final = 120.0
_KEPT: Final = 32
_KEPT_SECONDS: Final = 3600.0
_SWEEP_SECONDS: Final = 60.0


class Full(Exception):
    """So many jobs wait already that no further one is taken."""


class Jobs:
    def __init__(
        self,
        log: Log,
        roster: Roster,
        uploads: Path,
        clock: Callable[[], float],
        stall_seconds: float = STALL_SECONDS,
    ) -> None:
        self._log, self._roster, self._uploads, self._clock = log, roster, uploads, clock
        self._stall_seconds = stall_seconds
        self._jobs: dict[str, Job] = {}
        self._running = asyncio.Semaphore(RUNNING)

    def follow(self, ledger: Hub, detections: Hub) -> None:
        ledger.watch(lambda record: self._with_job(record, lambda job: job.on_ledger(record)))
        detections.watch(lambda record: self._with_job(record, Job.on_detections))

    def new_id(self) -> str:
        return f"{PREFIX}{uuid.uuid4().hex}"

    def check_room(self) -> None:
        """Raises Full."""
        if sum(job.finished is None for job in self._jobs.values()) >= RUNNING + WAITING:
            raise Full

    def start(self, job_id: str, file: Path, file_name: str, analysis: Analysis) -> Job:
        """Raises Full; the file then remains the caller's."""
        self.check_room()
        self._forget()
        job = Job(job_id, file, file_name, analysis, self._clock(), self._stall_seconds)
        self._jobs[job_id] = job
        job.task = asyncio.create_task(self._run(job))
        return job

    def get(self, job_id: str) -> Job | None:
        return self._jobs.get(job_id)

    async def cancel(self, job: Job) -> None:
        """Ends it if it still runs; what it left behind is gone afterwards."""
        if job.task is not None and not job.task.done():
            job.task.cancel()
            await asyncio.wait([job.task])

    async def close(self) -> None:
        await asyncio.gather(*(self.cancel(job) for job in self._jobs.values()))

    async def sweep(self) -> None:
        """For ever: removes what gateways that are no more have left behind."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            with contextlib.suppress(LogUnavailable):
                await self.sweep_once()

    async def sweep_once(self) -> None:
        now = self._clock()
        for camera in self._roster.all():
            spec = camera.spec
            if spec is None or not spec.batch or not camera.id.startswith(PREFIX) or camera.id in self._jobs:
                continue
            deadline = spec.labels.get("deadline", "")
            if deadline.isdigit() and int(deadline) < now:
                await self._log.publish(CAMERAS.name, camera.id.encode(), None)
        for file in self._uploads.glob(f"{PREFIX}*"):
            with contextlib.suppress(OSError):
                if file.stem not in self._jobs and now - file.stat().st_mtime > MAX_SECONDS:
                    file.unlink()

    def _with_job(self, record: Record, react: Callable[[Job], None]) -> None:
        if is_upload(record.key):
            job = self._jobs.get(record.key.decode("utf-8", "replace"))
            if job is not None and job.finished is None:
                react(job)

    async def _run(self, job: Job) -> None:
        log = logger("gateway.jobs")
        try:
            async with self._running:
                job.state = "running"
                log.info("job started", job=job.id, model=job.analysis.model)
                await job.run(self._log, self._hint)
            job.state = "done"
        except JobFailed as error:
            job.state, job.error, job.status = "failed", str(error), error.status
        except (LogUnavailable, PositionGone) as error:
            job.state, job.error, job.status = "failed", f"the log does not answer: {error}", 503
        except asyncio.CancelledError:
            job.state, job.error, job.status = "cancelled", "cancelled", 409
        except Exception as error:
            job.state, job.error, job.status = "failed", "the gateway failed; its log says how", 500
            log.exception("job broken", job=job.id, error=repr(error))
        finally:
            await self._tidy(job)
            job.finished = self._clock()
            log.info("job ended", job=job.id, state=job.state, error=job.error)

    async def _tidy(self, job: Job) -> None:
        try:
            await self._log.publish(CAMERAS.name, job.id.encode(), None)
        except LogUnavailable as error:
            logger("gateway.jobs").warning("camera of a job not withdrawn", job=job.id, error=str(error))
        await asyncio.to_thread(job.file.unlink, missing_ok=True)

    def _hint(self) -> str:
        if not self._roster.alive("ingest"):
            return "no ingest process is running"
        if not self._roster.alive("worker"):
            return "no worker is running"
        return "is a worker running that serves the topic frames-batch?"

    def _forget(self) -> None:
        now = self._clock()
        done = [job for job in self._jobs.values() if job.finished is not None]
        for job in done[: max(0, len(done) - _KEPT)]:
            del self._jobs[job.id]
        for job in done:
            if job.finished is not None and now - job.finished > _KEPT_SECONDS:
                self._jobs.pop(job.id, None)

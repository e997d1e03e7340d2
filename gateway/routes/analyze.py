"""`POST /analyze` and its jobs: a file in, JSON out."""

import asyncio
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, HTTPException, Path, Request, Response
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from gateway.api import AnalysisResult, JobAccepted, JobInfo, ModelList, Problem, Progress
from gateway.away import models_away
from gateway.job import Job
from gateway.jobs import Full
from gateway.models import ModelsUnavailable
from gateway.services import Services
from gateway.upload import UploadRefused, check_length, receive, suffix_of
from runtime.logging import logger
from runtime.metrics import GATEWAY_UPLOADS
from schemas.analysis import Analysis

UPLOADS_AT_ONCE: Final = 4
DEFAULT_WAIT_SECONDS: Final = 600.0
MAX_WAIT_SECONDS: Final = 3600.0
_DRAIN_BYTES: Final = 8 * 1024 * 1024
_DRAIN_SECONDS: Final = 2.0
_LOOK_SECONDS: Final = 1.0

_FORM: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "model"],
                    "properties": {
                        "file": {"type": "string", "format": "binary", "description": "any container FFmpeg reads"},
                        "model": {"type": "string", "examples": ["yolox-nano"]},
                        "analysis": {
                            "type": "string",
                            "description": "JSON of an Analysis: rules, classes, sampling (schemas/analysis.py)",
                            "examples": ['{"rules":[{"kind":"line","name":"a","start":[0,0.5],"end":[1,0.5]}]}'],
                        },
                        "async": {"type": "boolean", "default": False, "description": "answer 202 and a job to poll"},
                        "timeout": {"type": "number", "default": DEFAULT_WAIT_SECONDS, "maximum": MAX_WAIT_SECONDS},
                    },
                }
            }
        },
    }
}
_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    202: {"model": JobAccepted, "description": "asked for with `async`, or not done when the `timeout` was over"},
    404: {"model": Problem, "description": "no such model"},
    408: {"model": Problem, "description": "the upload stopped"},
    413: {"model": Problem, "description": "larger than this gateway takes"},
    415: {"model": Problem, "description": "not multipart/form-data"},
    422: {"model": Problem, "description": "no video, a damaged one, or a form with something missing or wrong"},
    503: {"model": Problem, "description": "too much to do, or a part of the system is away; try again"},
    507: {"model": Problem, "description": "the disk is full"},
}


def router(services: Services) -> APIRouter:
    routes = APIRouter(tags=["analysis"])
    desk = _Desk(services)

    @routes.post(
        "/analyze",
        summary="Analyse a video file",
        openapi_extra=_FORM,
        responses=_PROBLEMS,
        response_model=AnalysisResult,
    )
    async def analyze(request: Request) -> Response:
        """Streams the file to disk, sends it through the same pipeline as a camera, waits, and answers what was found.

        `curl -F file=@clip.mp4 -F model=junction-yolo http://127.0.0.1:8080/analyze`

        Its results are also on the topics and under `GET /events?camera=<job>`; capture times begin at 0 with the
        file. The same file with the same model and analysis gives the same results."""
        return await desk.analyze(request)

    @routes.get("/models", summary="Models to choose from", responses={503: {"model": Problem}})
    async def models() -> ModelList:
        try:
            names = await services.models.names()
        except ModelsUnavailable as error:
            raise models_away(error) from error
        return ModelList(models=None if names is None else sorted(names))

    @routes.get("/jobs/{job_id}", summary="How far a job is", responses={404: {"model": Problem}})
    async def job(job_id: Annotated[str, Path(max_length=128)]) -> JobInfo:
        return _info(desk.find(job_id))

    @routes.delete("/jobs/{job_id}", summary="Cancel a job", responses={404: {"model": Problem}})
    async def cancel(job_id: Annotated[str, Path(max_length=128)]) -> JobInfo:
        found = desk.find(job_id)
        await services.jobs.cancel(found)
        return _info(found)

    return routes


class _Desk:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._uploads = asyncio.Semaphore(UPLOADS_AT_ONCE)

    def find(self, job_id: str) -> Job:
        job = self._services.jobs.get(job_id)
        if job is None:
            raise HTTPException(404, f"no job has the id {job_id!r}; finished ones are kept for an hour")
        return job

    async def analyze(self, request: Request) -> Response:
        try:
            job, background, wait_seconds = await self._take(request)
        except UploadRefused as refusal:
            GATEWAY_UPLOADS.labels("refused").inc()
            if refusal.status != 408:
                await _drain(request)
            headers = {"connection": "close", **({"retry-after": "10"} if refusal.status == 503 else {})}
            return JSONResponse({"detail": str(refusal)}, refusal.status, headers)
        except ClientDisconnect:
            GATEWAY_UPLOADS.labels("refused").inc()
            return Response(status_code=499)
        GATEWAY_UPLOADS.labels("taken").inc()
        if background or not await self._wait(job, request, wait_seconds):
            accepted = JobAccepted(job=job.id, status_url=f"/jobs/{job.id}", state=job.state)
            return JSONResponse(accepted.model_dump(), 202, {"location": f"/jobs/{job.id}"})
        if job.result is None:
            return JSONResponse({"detail": job.error, "job": job.id}, job.status)
        return JSONResponse(job.result)

    async def _take(self, request: Request) -> tuple[Job, bool, float]:
        """The file on disk and its job begun. Raises UploadRefused with nothing left behind."""
        services = self._services
        directory = services.settings.uploads_dir
        limit = services.settings.upload_max_bytes
        declared = request.headers.get("content-length")
        if self._uploads.locked():
            raise UploadRefused(503, "too many uploads at once; try again")
        self._check_room()
        async with self._uploads:
            await asyncio.to_thread(directory.mkdir, parents=True, exist_ok=True)
            check_length(int(declared) if declared and declared.isdigit() else None, limit, directory)
            job_id = services.jobs.new_id()
            partial = (directory / f"{job_id}.part").resolve()
            form = await receive(request.stream(), request.headers.get("content-type", ""), partial, limit)
            try:
                options = {**request.query_params, **form.fields}
                analysis = _analysis_of(options)
                background, wait_seconds = _flag(options, "async"), _seconds(options)
                await self._check_model(analysis.model)
                self._check_room()
                file = partial.with_name(job_id + suffix_of(form.file_name))
                partial.rename(file)
            except BaseException:
                partial.unlink(missing_ok=True)
                raise
            job = services.jobs.start(job_id, file, form.file_name, analysis)
            logger("gateway").info("upload taken", job=job.id, bytes=form.size, model=analysis.model)
            return job, background, wait_seconds

    def _check_room(self) -> None:
        try:
            self._services.jobs.check_room()
        except Full as error:
            raise UploadRefused(503, "too many files wait already; try again") from error

    async def _check_model(self, name: str) -> None:
        try:
            known = await self._services.models.names()
        except ModelsUnavailable as error:
            raise UploadRefused(503, f"the model server does not answer: {error}") from error
        if known is not None and name not in known:
            raise UploadRefused(404, f"model: there is no {name!r}; there are: {', '.join(sorted(known)) or 'none'}")

    async def _wait(self, job: Job, request: Request, seconds: float) -> bool:
        """Whether it has ended in time. A client that goes away while it waits takes its job along."""
        assert job.task is not None
        deadline = asyncio.get_running_loop().time() + seconds
        while (left := deadline - asyncio.get_running_loop().time()) > 0:
            done, _ = await asyncio.wait([job.task], timeout=min(left, _LOOK_SECONDS))
            if done:
                return True
            if await request.is_disconnected():
                await self._services.jobs.cancel(job)
                return True
        return False


def _analysis_of(options: dict[str, str]) -> Analysis:
    model = options.get("model", "").strip()
    if not model:
        raise UploadRefused(422, "model: missing; the name of a served model is wanted")
    try:
        given = msgspec.json.decode(options.get("analysis") or "{}", type=dict[str, Any])
        return msgspec.convert({**given, "model": model}, type=Analysis)
    except msgspec.MsgspecError as error:
        field = "model" if "`$.model`" in str(error) else "analysis"
        raise UploadRefused(422, f"{field}: {error}") from error


def _flag(options: dict[str, str], name: str) -> bool:
    text = options.get(name, "false").strip().lower()
    if text not in ("true", "false", "1", "0", "yes", "no"):
        raise UploadRefused(422, f"{name}: true or false is wanted, not {text[:32]!r}")
    return text in ("true", "1", "yes")


def _seconds(options: dict[str, str]) -> float:
    text = options.get("timeout", str(DEFAULT_WAIT_SECONDS))
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= MAX_WAIT_SECONDS:
        raise UploadRefused(422, f"timeout: seconds up to {MAX_WAIT_SECONDS:.0f} are wanted, not {text[:32]!r}")
    return seconds


async def _drain(request: Request) -> None:
    """Reads on for a moment: a client that is still sending would not see the answer, only a broken connection."""
    read = 0
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for chunk in request.stream():
                read += len(chunk)
                if read > _DRAIN_BYTES:
                    return
    except (TimeoutError, ClientDisconnect, RuntimeError):
        return


def _info(job: Job) -> JobInfo:
    return JobInfo(
        job=job.id,
        file=job.file_name,
        model=job.analysis.model,
        state=job.state,
        progress=Progress(published=job.ledger.frames().published, analysed=job.analysed),
        error=job.error or None,
        result=None if job.result is None else AnalysisResult.model_validate(job.result),
    )

"""`/experiments`: a share of the live cameras gets another model, and what both shares have found."""

import asyncio
from collections import defaultdict
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter, HTTPException, Path, Query, Request, Response

from experiments.gathering import Gathering
from gateway import moment
from gateway.api import Problem
from gateway.asked import asked, body_of, check_model
from gateway.away import log_away, models_away
from gateway.experiment_api import (
    ExperimentCamera,
    ExperimentEnded,
    ExperimentInfo,
    ExperimentList,
    ExperimentReport,
    ExperimentWanted,
    ModelName,
)
from gateway.experiments import HalfWritten, Stand, specs
from gateway.log import LogUnavailable, PositionGone
from gateway.models import DETECTIONS as BOXES
from gateway.models import ModelRefused, ModelsUnavailable
from gateway.services import Services
from runtime.logging import logger
from schemas.analysis import Experiment
from schemas.experiment import ArmName, ExperimentRunsError, NoExperimentError, compared
from schemas.results import rfc3339
from schemas.topics import DETECTIONS, EVENTS

_READ_SECONDS: Final = 30.0
_MAX_EVENTS: Final = 200_000
_MAX_WINDOWS: Final = 100_000
_SKEW_NS: Final = 5 * 10**9
_SMALLER: Final = "ask for a shorter time, or use the command `rewatch ab report`"

Name = Annotated[str, Path(max_length=64)]
_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    404: {"model": Problem, "description": "no such experiment or model"},
    409: {"model": Problem, "description": "an experiment of that name runs already"},
    413: {"model": Problem, "description": "a request of more than 64 KiB"},
    422: {"model": Problem, "description": "something missing or wrong, or nothing to compare; the text says what"},
    503: {"model": Problem, "description": "a part of the system is away, or somebody else is reading; try again"},
}


def router(services: Services) -> APIRouter:
    routes = APIRouter(tags=["experiments"])
    reading = asyncio.Lock()

    @routes.get("/experiments", summary="Comparisons that run", responses={503: _PROBLEMS[503]})
    async def running() -> ExperimentList:
        """Which cameras have which model, and since when."""
        return ExperimentList(experiments=_infos(await _cameras(services)))

    @routes.get(
        "/experiments/{name}", summary="One of them", responses={number: _PROBLEMS[number] for number in (404, 503)}
    )
    async def one(name: Name) -> ExperimentInfo:
        return await _find(services, name)

    @routes.post(
        "/experiments",
        status_code=201,
        summary="Give a share of the live cameras another model",
        openapi_extra=body_of(ExperimentWanted),
        responses=_PROBLEMS,
    )
    async def start(request: Request, response: Response) -> ExperimentInfo:
        """As `rewatch ab start` does, from the cameras' next keyframes on."""
        wanted = await asked(request, ExperimentWanted)
        for field, model in (("a", wanted.a), ("b", wanted.b)):
            await check_model(services.models, model, field)
        await _check_detector(services, wanted.b)
        try:
            await services.experiments.start(wanted.name, wanted.a, wanted.b, wanted.share)
        except ExperimentRunsError as error:
            raise HTTPException(409, str(error)) from error
        except ValueError as error:
            raise HTTPException(422, str(error)) from error
        except HalfWritten as error:
            raise HTTPException(503, f"{error}; DELETE /experiments/{wanted.name} takes them back") from error
        except LogUnavailable as error:
            raise log_away(error) from error
        logger("gateway").info("experiment started", experiment=wanted.name, a=wanted.a, b=wanted.b)
        response.headers["location"] = f"/experiments/{wanted.name}"
        return await _find(services, wanted.name)

    @routes.delete(
        "/experiments/{name}",
        summary="End a comparison: all its cameras have one model again",
        responses={number: _PROBLEMS[number] for number in (404, 422, 503)},
    )
    async def stop(
        name: Name,
        keep: Annotated[
            Literal["a", "b"], Query(description="a: every camera as before; b: every camera gets the other model")
        ] = "a",
    ) -> ExperimentEnded:
        """A camera whose model was changed meanwhile keeps that."""
        try:
            changed = await services.experiments.stop(name, keep)
        except NoExperimentError as error:
            raise HTTPException(404, str(error)) from error
        except HalfWritten as error:
            raise HTTPException(503, f"{error}; ask again for the others", {"retry-after": "2"}) from error
        except LogUnavailable as error:
            raise log_away(error) from error
        logger("gateway").info("experiment ended", experiment=name, keep=keep)
        return ExperimentEnded(name=name, cameras={spec.id: spec.analysis.model for spec in changed})

    @routes.get(
        "/experiments/{name}/report",
        summary="Events per hour of both shares, and whether they differ by more than chance",
        responses={number: _PROBLEMS[number] for number in (404, 422, 503)},
    )
    async def report(
        name: Name,
        from_: Annotated[str, Query(alias="from", max_length=64, description="capture time, RFC 3339 or `-24h`")],
        to: Annotated[str, Query(max_length=64, description="likewise")] = "now",
        window: Annotated[float, Query(ge=1, le=86_400, description="seconds that are compared as one")] = 60.0,
        seed: Annotated[int, Query(ge=0, lt=2**63, description="of the permutations that are drawn")] = 0,
        a: Annotated[ModelName | None, Query(description="of an experiment that is over: its models")] = None,
        b: Annotated[ModelName | None, Query(description="likewise")] = None,
    ) -> ExperimentReport:
        """As `rewatch ab report` says it. One at a time: the results of all cameras are read for it."""
        now_ns = int(services.clock() * 1e9)
        try:
            from_ns, to_ns = moment.parse(from_, now_ns, "from"), moment.parse(to, now_ns, "to")
            gathering = Gathering(from_ns, to_ns, window)
        except ValueError as error:
            raise HTTPException(422, str(error)) from error
        if to_ns > now_ns + _SKEW_NS:
            raise HTTPException(422, "to: lies in the future")
        if gathering.windows > _MAX_WINDOWS:
            raise HTTPException(422, f"window: {gathering.windows} windows are more than {_MAX_WINDOWS}; {_SMALLER}")
        known = await _cameras(services)
        try:
            first, second, arms = compared(specs(known), name, a, b)
        except NoExperimentError as error:
            raise HTTPException(404, f"{error}: say with a and b which models it had") from error
        if reading.locked():
            raise HTTPException(503, "somebody else's report is being read; try again", {"retry-after": "5"})
        async with reading:
            await _gather(services, gathering)
            found = await asyncio.to_thread(_judged, gathering, first, second, arms, from_ns, window, seed)
        return ExperimentReport.model_validate(found)

    return routes


def _judged(
    gathering: Gathering, a: str, b: str, arms: dict[str, ArmName], from_ns: int, window: float, seed: int
) -> Any:
    # SciPy takes a second to import, and memory: only where somebody asks
    from experiments.shares import report

    return msgspec.to_builtins(report(gathering.seen((a, b)), a, b, arms, from_ns, window, seed))


async def _gather(services: Services, gathering: Gathering) -> None:
    log = services.log
    try:
        async with asyncio.timeout(_READ_SECONDS):
            for topic in (DETECTIONS.name, EVENTS.name):
                start, stop = await log.at(topic, gathering.since_ms), await log.ends(topic)
                async with log.reader(topic, start, stop) as reader:
                    async for batch in reader:
                        for record in batch:
                            if topic == EVENTS.name:
                                gathering.take_event(record.value or b"")
                            else:
                                gathering.take_detections(record.key.decode("utf-8", "replace"), record.value or b"")
                        if gathering.events > _MAX_EVENTS:
                            raise HTTPException(422, f"from: more than {_MAX_EVENTS} events lie there; {_SMALLER}")
    except TimeoutError as error:
        raise HTTPException(422, f"from: more lies there than is read in {_READ_SECONDS:.0f} s; {_SMALLER}") from error
    except (LogUnavailable, PositionGone) as error:
        raise log_away(error) from error


async def _check_detector(services: Services, model: str) -> None:
    """Cameras must not be given what would fail all their windows. Raises HTTPException."""
    try:
        outputs = await services.models.outputs(model)
    except ModelsUnavailable as error:
        raise models_away(error) from error
    except ModelRefused as error:
        raise HTTPException(422, f"b: {model} is not served: {error}") from error
    if outputs is not None and BOXES not in outputs:
        raise HTTPException(422, f"b: {model} is no detector; it answers with {', '.join(sorted(outputs))}")


async def _cameras(services: Services) -> dict[str, Stand]:
    try:
        return await services.experiments.cameras()
    except LogUnavailable as error:
        raise log_away(error) from error


async def _find(services: Services, name: str) -> ExperimentInfo:
    for info in _infos(await _cameras(services)):
        if info.name == name:
            return info
    raise HTTPException(404, f"no camera takes part in an experiment {name}")


def _infos(cameras: dict[str, Stand]) -> list[ExperimentInfo]:
    parts: dict[str, list[tuple[Experiment, Stand]]] = defaultdict(list)
    for _, stand in sorted(cameras.items()):
        if isinstance(stand.spec.experiment, Experiment):
            parts[stand.spec.experiment.name].append((stand.spec.experiment, stand))
    return [
        ExperimentInfo(
            name=name,
            a=members[0][0].a,
            b=members[0][0].b,
            since=_when(min(stand.written_ms for _, stand in members)),
            cameras=[
                ExperimentCamera(
                    camera=stand.spec.id, arm=part.arm, model=stand.spec.analysis.model, since=_when(stand.written_ms)
                )
                for part, stand in members
            ],
        )
        for name, members in sorted(parts.items())
    ]


def _when(written_ms: int) -> str:
    return rfc3339(max(0, written_ms) * 1_000_000)

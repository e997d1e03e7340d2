"""`POST /replays` and what became of it: a stretch of a camera's log looked at again, by the replayer process."""

import re
import uuid
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, HTTPException, Path, Request, Response

from gateway import moment
from gateway.api import Problem, ReplayAccepted, ReplayInfo, ReplayList, ReplayProgress, ReplayWanted
from gateway.asked import asked, body_of, check_model
from gateway.away import log_away
from gateway.log import LogUnavailable
from gateway.replays import Replay
from gateway.services import Services
from runtime.logging import logger
from schemas.analysis import Analysis, changed, check_changes
from schemas.messages import ReplayRequest, ShadowWanted
from schemas.results import rfc3339, to_json
from schemas.topics import REPLAYS, is_free

MAX_SECONDS: Final = 24 * 3600.0
"""of one replay: of its span, and of the time that its pace makes of it"""
_SKEW_NS: Final = 5 * 10**9
_MODEL: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63})(:[1-9][0-9]{0,8})?")

ReplayId = Annotated[str, Path(max_length=128)]
_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    404: {"model": Problem, "description": "no such camera, model or replay"},
    413: {"model": Problem, "description": "a request of more than 64 KiB"},
    422: {"model": Problem, "description": "something missing or wrong; the text names the field"},
    503: {"model": Problem, "description": "too many wait already, or a part of the system is away; try again"},
}


def router(services: Services) -> APIRouter:
    routes = APIRouter(tags=["replays"])
    desk = _Desk(services)

    @routes.post(
        "/replays",
        status_code=202,
        summary="Look again at a stretch of a camera's log",
        openapi_extra=body_of(ReplayWanted),
        responses={number: _PROBLEMS[number] for number in (404, 413, 422, 503)},
    )
    async def ask(request: Request, response: Response) -> ReplayAccepted:
        """The request becomes a record on the topic `replays`, and a replayer process carries it out: as
        `rewatch replay` does, with the kind `backtest` as `rewatch backtest`, with `shadow` as `rewatch ab shadow` does
        with one camera. It survives the death of either
        process."""
        found = await desk.ask(await asked(request, ReplayWanted))
        response.headers["location"] = f"/replays/{found.request.id}"
        return ReplayAccepted(id=found.request.id, status_url=f"/replays/{found.request.id}", state=found.state)

    @routes.get("/replays", summary="Replays of the last days, the latest first")
    async def replays() -> ReplayList:
        """Without their reports."""
        return ReplayList(replays=[_info(replay) for replay in services.replays.all()])

    @routes.get("/replays/{replay_id}", summary="How far a replay is", responses={404: _PROBLEMS[404]})
    async def replay(replay_id: ReplayId) -> ReplayInfo:
        found = desk.find(replay_id)
        info = _info(found)
        info.report = None if found.told is None else found.told.report
        return info

    @routes.delete(
        "/replays/{replay_id}",
        summary="Cancel a replay",
        responses={number: _PROBLEMS[number] for number in (404, 503)},
    )
    async def cancel(replay_id: ReplayId) -> ReplayInfo:
        """What it has published already stays. One that is finished, or about to publish, is no longer cancelled."""
        found = desk.find(replay_id)
        if not found.finished:
            found = await desk.publish(msgspec.structs.replace(found.request, cancelled=True))
        return _info(found)

    return routes


class _Desk:
    def __init__(self, services: Services) -> None:
        self._services = services

    def find(self, replay_id: str) -> Replay:
        replay = self._services.replays.get(replay_id)
        if replay is None:
            raise HTTPException(404, f"no replay has the id {replay_id!r}; they are kept for a week")
        return replay

    async def ask(self, wanted: ReplayWanted) -> Replay:
        services = self._services
        camera = services.roster.get(wanted.camera)
        if camera is None:
            raise HTTPException(404, f"camera: there is no {wanted.camera!r}")
        analysis = camera.spec.analysis if camera.spec is not None else None
        changes: dict[str, Any] = {}
        shadow: ShadowWanted | msgspec.UnsetType = msgspec.UNSET
        if wanted.kind == "shadow":
            shadow = await self._shadow(wanted, analysis)
        elif wanted.against is not None or wanted.window is not None or wanted.seed is not None:
            raise HTTPException(422, "kind: against, window and seed are of a shadow")
        else:
            changes = _changes(wanted, analysis)
        if "model" in changes:
            await check_model(services.models, changes["model"], "model")
        if wanted.kind == "backtest" and (not changes or wanted.into):
            raise HTTPException(422, "kind: a backtest wants a model or rules, and publishes into no topic")
        if wanted.into is not None and not is_free(wanted.into):
            raise HTTPException(422, f"into: {wanted.into[:64]!r} is no name for a topic of replayed results")
        from_ns, to_ns = _span(wanted, int(services.clock() * 1e9))
        if isinstance(shadow, ShadowWanted) and to_ns - from_ns < shadow.window_seconds * 1e9:
            raise HTTPException(422, f"window: the span is less than one of {shadow.window_seconds:g} s")
        if services.replays.full:
            raise HTTPException(503, "too many replays wait already; try again", {"retry-after": "30"})
        request = ReplayRequest(
            id=f"replay-{uuid.uuid4().hex}",
            camera=wanted.camera,
            from_ns=from_ns,
            to_ns=to_ns,
            kind=wanted.kind,
            changes=changes,
            into=wanted.into or "",
            speed=wanted.speed,
            even_cold=wanted.even_cold,
            shadow=shadow,
        )
        found = await self.publish(request)
        logger("gateway").info("replay asked for", replay=request.id, camera=request.camera, kind=request.kind)
        return found

    async def _shadow(self, wanted: ReplayWanted, analysis: Analysis | None) -> ShadowWanted:
        if wanted.rules is not None or wanted.into is not None or wanted.speed is not None or wanted.even_cold:
            raise HTTPException(422, "kind: a shadow has no rules, into, speed or even_cold")
        against = wanted.against or (analysis.model if analysis is not None else None)
        if wanted.model is None or against is None:
            raise HTTPException(422, "model: a shadow wants two models, `model` and `against`")
        for field, text in (("model", wanted.model), ("against", against)):
            name = _MODEL.fullmatch(text)
            if name is None:
                raise HTTPException(422, f"{field}: {text!r} is neither a model nor a version of one such as NAME:2")
            await check_model(self._services.models, name[1], field)
        if wanted.model == against:
            raise HTTPException(422, f"against: both are {against}")
        return ShadowWanted(against, wanted.model, wanted.window or 60.0, wanted.seed or 0)

    async def publish(self, request: ReplayRequest) -> Replay:
        try:
            await self._services.log.publish(REPLAYS.name, request.id.encode(), to_json(request))
        except LogUnavailable as error:
            raise log_away(error) from error
        return self._services.replays.take(request)


def _changes(wanted: ReplayWanted, analysis: Analysis | None) -> dict[str, Any]:
    """What shall differ from the camera's analysis."""
    given: dict[str, Any] = {}
    if wanted.rules is not None:
        given = {"rules": wanted.rules} if isinstance(wanted.rules, list) else wanted.rules
    if wanted.model is not None:
        given = {**given, "model": wanted.model}
    try:
        check_changes(given)
        if analysis is not None:
            changed(analysis, given)
    except msgspec.ValidationError as error:
        raise HTTPException(422, f"rules: {error}") from error
    return given


def _span(wanted: ReplayWanted, now_ns: int) -> tuple[int, int]:
    try:
        from_ns, to_ns = moment.parse(wanted.from_, now_ns, "from"), moment.parse(wanted.to, now_ns, "to")
    except ValueError as error:
        raise HTTPException(422, str(error)) from error
    if from_ns >= to_ns:
        raise HTTPException(422, "from: lies not before to")
    if to_ns > now_ns + _SKEW_NS:
        raise HTTPException(422, "to: lies in the future")
    seconds = (to_ns - from_ns) / 1e9
    if seconds > MAX_SECONDS:
        raise HTTPException(422, f"to: a replay spans at most {MAX_SECONDS / 3600:.0f} hours")
    if wanted.speed is not None and seconds / wanted.speed > MAX_SECONDS:
        raise HTTPException(422, f"speed: it would take more than {MAX_SECONDS / 3600:.0f} hours")
    return from_ns, to_ns


def _info(replay: Replay) -> ReplayInfo:
    request, told = replay.request, replay.told
    speed = replay.times_real_time
    return ReplayInfo(
        id=request.id,
        kind=request.kind,
        camera=request.camera,
        from_=rfc3339(request.from_ns),
        to=rfc3339(request.to_ns),
        changes=request.changes,
        shadow=msgspec.to_builtins(request.shadow) if isinstance(request.shadow, ShadowWanted) else None,
        into=request.into or None,
        speed=request.speed,
        state=replay.state,
        progress=ReplayProgress(
            done=round(replay.progress, 4),
            frames=0 if told is None else told.frames,
            times_real_time=None if speed is None else round(speed, 2),
        ),
        error=None if told is None else told.reason or None,
    )

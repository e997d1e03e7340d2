"""`GET /windows`: GOPs that failed or were shed, and what became of them."""

import asyncio
import contextlib
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, HTTPException, Query

from gateway import moment
from gateway.api import Problem, WindowInfo, WindowList
from gateway.away import log_away
from gateway.log import LogUnavailable, Record
from gateway.services import Services
from gateway.tally import decode_ledger
from schemas.messages import AnalysisLedger, FailedWindow
from schemas.partition import partition_of
from schemas.topics import FAILED_WINDOWS, LEDGER
from schemas.windows import STATES, Windows

_MAX_SECONDS: Final = 5.0
_MAX_RECORDS: Final = 400_000
_READS: Final = 2
_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {422: {"model": Problem}, 503: {"model": Problem}}


def router(services: Services) -> APIRouter:
    routes = APIRouter(tags=["history"])
    reads = asyncio.Semaphore(_READS)

    @routes.get("/windows", summary="GOPs that failed or were shed, and what became of them", responses=_PROBLEMS)
    async def windows(
        camera: Annotated[str | None, Query(max_length=128, description="only this camera")] = None,
        state: Annotated[str | None, Query(description=f"only these: {', '.join(STATES)}")] = None,
        from_: Annotated[str, Query(alias="from", description="what failed from here on")] = "-24h",
    ) -> WindowList:
        """As `rewatch windows` lists them. What is given up waits for a person."""
        if state is not None and state not in STATES:
            raise HTTPException(422, f"state is one of {', '.join(STATES)}")
        try:
            from_ns = moment.parse(from_, int(services.clock() * 1e9), "from")
        except ValueError as error:
            raise HTTPException(422, str(error)) from error
        if reads.locked():
            raise HTTPException(503, "too many are reading the windows; try again", {"retry-after": "2"})
        async with reads:
            try:
                found, complete = await _read(services, camera, from_ns // 1_000_000)
            except LogUnavailable as error:
                raise log_away(error) from error
        listed = [
            WindowInfo(state=one.state, window=msgspec.to_builtins(one.window))
            for one in found.states()
            if state in (None, one.state)
        ]
        return WindowList(windows=listed, complete=complete)

    return routes


async def _read(services: Services, camera: str | None, from_ms: int) -> tuple[Windows, bool]:
    found, records = Windows(), 0
    try:
        async with asyncio.timeout(_MAX_SECONDS):
            for topic in (FAILED_WINDOWS.name, LEDGER.name):
                start, stop = await services.log.at(topic, max(0, from_ms)), await services.log.ends(topic)
                if camera is not None:
                    lane = partition_of(camera.encode(), len(start))
                    start = {lane: start[lane]}
                async with services.log.reader(topic, start, stop) as reader:
                    async for batch in reader:
                        for record in batch:
                            if camera is None or record.key == camera.encode():
                                _take(found, topic, record)
                        records += len(batch)
                        if records > _MAX_RECORDS:
                            return found, False
    except TimeoutError:
        return found, False
    return found, True


def _take(found: Windows, topic: str, record: Record) -> None:
    if topic == LEDGER.name:
        entry = decode_ledger(record)
        if isinstance(entry, AnalysisLedger):
            found.analysed(entry)
        return
    with contextlib.suppress(msgspec.DecodeError):
        found.failed(msgspec.json.decode(record.value or b"", type=FailedWindow))

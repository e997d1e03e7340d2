"""`GET /ledger`: what became of every access unit, added up per camera."""

import asyncio
from collections import defaultdict
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, HTTPException, Query

from gateway import moment
from gateway.api import CameraSums, FrameSums, LedgerSums, Problem
from gateway.away import log_away
from gateway.job import PREFIX
from gateway.log import LogUnavailable
from gateway.services import Services
from gateway.tally import decode_ledger
from schemas.ledger import Ledger
from schemas.messages import EndLedger
from schemas.partition import partition_of
from schemas.topics import LEDGER

_SKEW_MS: Final = 5_000
_MAX_SECONDS: Final = 5.0
_MAX_GOPS: Final = 400_000
_READS: Final = 2
_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {422: {"model": Problem}, 503: {"model": Problem}}


def router(services: Services) -> APIRouter:
    routes = APIRouter(tags=["history"])
    reads = asyncio.Semaphore(_READS)

    @routes.get("/ledger", summary="What became of every access unit", responses=_PROBLEMS)
    async def ledger(
        camera: Annotated[str | None, Query(max_length=128, description="only this camera")] = None,
        from_: Annotated[
            str, Query(alias="from", description="GOPs captured from here on; `1970-01-01T00:00:00Z` for all")
        ] = "-1h",
    ) -> LedgerSums:
        """Only GOPs that the edge has accounted for count; what it has published and no worker has read is `unread`."""
        if camera is not None and camera.startswith(PREFIX):
            from_ = "1970-01-01T00:00:00Z"  # a file's capture times begin at zero
        try:
            from_ns = moment.parse(from_, int(services.clock() * 1e9), "from")
        except ValueError as error:
            raise HTTPException(422, str(error)) from error
        if reads.locked():
            raise HTTPException(503, "too many are reading the ledger; try again", {"retry-after": "2"})
        async with reads:
            try:
                sums, complete = await _read(services, camera, from_ns)
            except LogUnavailable as error:
                raise log_away(error) from error
        return LedgerSums(cameras=[_sums(name, found) for name, found in sorted(sums.items())], complete=complete)

    return routes


async def _read(services: Services, camera: str | None, from_ns: int) -> tuple[dict[str, Ledger], bool]:
    log = services.log
    start = await log.at(LEDGER.name, max(0, from_ns // 1_000_000 - _SKEW_MS))
    stop = await log.ends(LEDGER.name)
    if camera is not None:
        lane = partition_of(camera.encode(), len(start))
        start = {lane: start[lane]}
    sums: dict[str, Ledger] = defaultdict(Ledger)
    entries = 0
    try:
        async with asyncio.timeout(_MAX_SECONDS), log.reader(LEDGER.name, start, stop) as reader:
            async for batch in reader:
                for record in batch:
                    entry = decode_ledger(record)
                    if entry is None or (camera is not None and entry.camera != camera):
                        continue
                    if isinstance(entry, EndLedger) or entry.captured_ns >= from_ns:
                        sums[entry.camera].add(entry)
                        entries += 1
                if entries > _MAX_GOPS:
                    return sums, False
    except TimeoutError:
        return sums, False
    return sums, True


def _sums(camera: str, ledger: Ledger) -> CameraSums:
    ledger.drop_untold()
    frames = FrameSums.model_validate(msgspec.to_builtins(ledger.frames()))
    return CameraSums(camera=camera, frames=frames, unread=ledger.unread(), reconciles=ledger.settled())

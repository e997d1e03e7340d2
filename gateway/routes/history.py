"""`GET /events`, `/detections`, `/flow`: pages of the log itself, no database between."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, HTTPException, Query

from gateway import cursor, moment
from gateway.api import DetectionsPage, EventPage, FlowPage, Problem
from gateway.away import log_away
from gateway.history import gather
from gateway.job import is_upload
from gateway.log import LogUnavailable, Position, PositionGone, Record
from gateway.services import Services
from schemas.partition import partition_of
from schemas.topics import DETECTIONS, EVENTS, FLOW, Topic

MAX_LIMIT = 1000
_SKEW_MS = 5_000
"""clocks of edges and workers may differ: how much earlier than `from` the reading starts"""
_CONCURRENT_READS = 8

From = Annotated[
    str | None,
    Query(
        alias="from",
        description="capture time from here on: RFC 3339, or a span before now, `-15m`; absent: the log's start",
        examples=["-15m", "2026-03-01T12:00:00Z"],
    ),
]
To = Annotated[str | None, Query(description="capture time before this", examples=["now"])]
CameraParam = Annotated[
    str | None,
    Query(
        description="only this camera; an uploaded file only if it is named here",
        max_length=128,
        examples=["junction-north"],
    ),
]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="at most so many")]
Cursor = Annotated[
    str | None, Query(description="`next` of the page before; overrides where `from` would start", max_length=2048)
]
Accept = Callable[[dict[str, Any]], bool]

_decode: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, Any])
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    410: {"model": Problem, "description": "retention has deleted what the cursor points at"},
    503: {"model": Problem, "description": "the log does not answer, or too many are reading it; try again"},
}


def router(services: Services) -> APIRouter:
    routes = APIRouter(tags=["history"], responses=_PROBLEMS)
    pages = _Pages(services)

    @routes.get("/events", summary="Events, oldest first")
    async def events(
        from_: From = None,
        to: To = None,
        camera: CameraParam = None,
        kind: Annotated[
            str | None, Query(description="only this kind", max_length=64, examples=["red_light", "line_crossed"])
        ] = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> EventPage:
        """Reads the topic `events`. An event may appear again, as it was after a crash or with a higher `revision`: it
        replaces the earlier one with the same `id`, so count ids. One with `retracted` in its details was taken back by
        a replay. A page may be short or empty although `more` is true, when the filter found little within the time
        allowed: go on with `next`."""

        def wanted(event: dict[str, Any]) -> bool:
            return kind is None or event.get("kind") == kind

        items, following, more = await pages.read(EVENTS, from_, to, camera, "captured_ns", wanted, limit, cursor)
        return EventPage(events=items, next=following, more=more)

    @routes.get("/detections", summary="Boxes of analysed frames, oldest first")
    async def detections(
        from_: From = None, to: To = None, camera: CameraParam = None, limit: Limit = 100, cursor: Cursor = None
    ) -> DetectionsPage:
        items, following, more = await pages.read(DETECTIONS, from_, to, camera, "captured_ns", None, limit, cursor)
        return DetectionsPage(detections=items, next=following, more=more)

    @routes.get("/flow", summary="Crossings by line and minute, oldest first")
    async def flow(
        from_: From = None, to: To = None, camera: CameraParam = None, limit: Limit = 100, cursor: Cursor = None
    ) -> FlowPage:
        items, following, more = await pages.read(FLOW, from_, to, camera, "minute_ns", None, limit, cursor)
        return FlowPage(flow=items, next=following, more=more)

    return routes


class _Pages:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._reads = asyncio.Semaphore(_CONCURRENT_READS)

    async def read(
        self,
        topic: Topic,
        from_: str | None,
        to: str | None,
        camera: str | None,
        time_field: str,
        wanted: Accept | None,
        limit: int,
        cursor_text: str | None,
    ) -> tuple[list[dict[str, Any]], str, bool]:
        now_ns = int(self._services.clock() * 1e9)
        try:
            from_ns = None if from_ is None else moment.parse(from_, now_ns, "from")
            to_ns = None if to is None else moment.parse(to, now_ns, "to")
            if from_ns is not None and to_ns is not None and from_ns > to_ns:
                raise ValueError("from: lies after to")
            if self._reads.locked():
                raise HTTPException(503, "too many are reading the log; try again", {"retry-after": "1"})
            async with self._reads:
                position = await self._start(topic, from_ns, cursor_text)
                # the other partitions hold no record of this camera
                lane = {partition_of(camera.encode(), len(position))} if camera is not None else set(position)

                def accept(record: Record) -> dict[str, Any] | None:
                    if record.value is None:
                        return None
                    if is_upload(record.key) if camera is None else record.key != camera.encode():
                        return None
                    item = _decode_or_none(record.value)
                    if item is None or not _within(item.get(time_field), from_ns, to_ns):
                        return None
                    return item if wanted is None or wanted(item) else None

                page = await gather(
                    self._services.log, topic.name, {p: o for p, o in position.items() if p in lane}, accept, limit
                )
        except ValueError as error:
            raise HTTPException(422, str(error)) from error
        except PositionGone as error:
            raise HTTPException(410, f"cursor: retention has deleted what it points at ({error})") from error
        except LogUnavailable as error:
            raise log_away(error) from error
        return page.items, cursor.encode(topic.name, {**position, **page.next}), page.more

    async def _start(self, topic: Topic, from_ns: int | None, cursor_text: str | None) -> Position:
        log = self._services.log
        starts = await log.starts(topic.name)
        if cursor_text is not None:
            return cursor.checked(cursor_text, topic.name, starts, await log.ends(topic.name))
        if from_ns is None:
            return starts
        return await log.at(topic.name, max(0, from_ns // 1_000_000 - _SKEW_MS))


def _decode_or_none(value: bytes) -> dict[str, Any] | None:
    try:
        return _decode.decode(value)
    except msgspec.MsgspecError:
        return None


def _within(moment_ns: Any, from_ns: int | None, to_ns: int | None) -> bool:
    if not isinstance(moment_ns, int):
        return False
    return (from_ns is None or moment_ns >= from_ns) and (to_ns is None or moment_ns < to_ns)

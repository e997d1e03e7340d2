"""A look at the end of `frames` for cameras of which the results say nothing: is there a picture at all, and which?"""

import asyncio
from collections.abc import Callable
from typing import Final

from gateway.camera import Camera
from gateway.log import Log, LogUnavailable, Position, PositionGone
from gateway.roster import Roster
from schemas.codec import CodecError, decode
from schemas.messages import AccessUnit
from schemas.partition import partition_of
from schemas.topics import FRAMES

_EVERY_SECONDS: Final = 2.0
_QUIET_SECONDS: Final = 3.0
_LAST_RECORDS: Final = 24
_MAX_SECONDS: Final = 1.5


class FrameProbe:
    """Works only when somebody asks, and at most every other second. Where all is well it reads nothing."""

    def __init__(self, log: Log, roster: Roster, clock: Callable[[], float]) -> None:
        self._log, self._roster, self._clock = log, roster, clock
        self._looked = float("-inf")
        self._seen: Position = {}
        self._looking = asyncio.Lock()

    async def refresh(self) -> None:
        """Never raises for a log that is away: what is known stays."""
        if self._looking.locked() or self._clock() - self._looked < _EVERY_SECONDS:
            return
        async with self._looking:
            self._looked = self._clock()
            wanted = [camera for camera in self._roster.all() if self._is_wanted(camera)]
            if wanted:
                try:
                    async with asyncio.timeout(_MAX_SECONDS):
                        await self._look(wanted)
                except (TimeoutError, LogUnavailable, PositionGone):
                    return

    def _is_wanted(self, camera: Camera) -> bool:
        if camera.spec is None or camera.spec.batch:
            return False
        return camera.codec is None or camera.arrived is None or self._clock() - camera.arrived > _QUIET_SECONDS

    async def _look(self, wanted: list[Camera]) -> None:
        starts, ends = await asyncio.gather(self._log.starts(FRAMES.name), self._log.ends(FRAMES.name))
        lanes = {partition_of(camera.id.encode(), len(ends)) for camera in wanted}
        fresh = {p for p in lanes if self._seen.get(p) != ends[p]}
        begin = {p: max(starts[p], ends[p] - _LAST_RECORDS) for p in fresh}
        newest: dict[bytes, AccessUnit] = {}
        async with self._log.reader(FRAMES.name, begin, {p: ends[p] for p in fresh}) as reader:
            async for batch in reader:
                for record in batch:
                    try:
                        unit = decode(record.key, record.value, record.headers)
                    except CodecError:
                        continue
                    if isinstance(unit, AccessUnit):
                        newest[record.key] = unit
        self._seen.update({p: ends[p] for p in fresh})
        for camera in wanted:
            found = newest.get(camera.id.encode())
            if found is not None:
                camera.on_frame(found, min(self._clock(), found.captured_ns / 1e9))

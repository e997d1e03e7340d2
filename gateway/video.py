"""A camera's access units for those who watch it: from the latest keyframe on, and read only while somebody watches."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Final

from gateway.log import Log, LogUnavailable, PositionGone, Record
from runtime.logging import logger
from schemas.codec import CodecError, decode
from schemas.messages import AccessUnit
from schemas.partition import partition_of
from schemas.topics import FRAMES

MAX_CHANNELS: Final = 64
_LOOK_BACK_SECONDS: Final = (12, 60, 300)
_GOP_BYTES: Final = 32 * 1024 * 1024
_VIEWER_UNITS: Final = 120
"""about four seconds: a viewer that lies further behind goes on at the next keyframe"""
_LINGER_SECONDS: Final = 5.0
_RETRY_SECONDS: Final = 1.0


class Viewer:
    """What one viewer has still to be sent."""

    def __init__(self, gop: list[AccessUnit]) -> None:
        self._waiting: deque[AccessUnit] = deque(gop)
        self._limit = _VIEWER_UNITS + len(gop)
        self._arrived = asyncio.Event()
        self._skipping = not gop
        self.dropped = 0

    def offer(self, unit: AccessUnit) -> None:
        if unit.keyframe:
            self._skipping = False
        if self._skipping:
            self.dropped += 1
            return
        if len(self._waiting) >= self._limit:
            # what is queued leads up to here: without it the rest of the GOP cannot be decoded either
            self.dropped += len(self._waiting)
            self._waiting.clear()
            if not unit.keyframe:
                self._skipping = True
                self.dropped += 1
                return
        self._waiting.append(unit)
        self._arrived.set()

    async def take(self) -> AccessUnit:
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        return self._waiting.popleft()


class Channel:
    """One camera's reader and its viewers. Holds the GOP under way, so that a new viewer sees a picture at once."""

    def __init__(self, log: Log, camera: str, clock: Callable[[], float]) -> None:
        self._log, self._key, self._clock = log, camera.encode(), clock
        self._gop: list[AccessUnit] = []
        self._gop_bytes = 0
        self._started = False
        self.viewers: set[Viewer] = set()

    async def run(self) -> None:
        """For ever; waits where the log is away."""
        while True:
            try:
                await self._follow()
            except (LogUnavailable, PositionGone) as error:
                logger("gateway.video").warning("video interrupted", camera=self._key.decode(), error=str(error))
                self._gop, self._started = [], False
            await asyncio.sleep(_RETRY_SECONDS)

    def join(self) -> Viewer:
        viewer = Viewer(self._gop)
        self.viewers.add(viewer)
        return viewer

    async def _follow(self) -> None:
        ends = await self._log.ends(FRAMES.name)
        partition = partition_of(self._key, len(ends))
        start = await self._latest_keyframe(partition, ends[partition])
        async with self._log.reader(FRAMES.name, {partition: start}) as reader:
            async for batch in reader:
                for record in batch:
                    unit = self._unit(record)
                    if unit is not None:
                        self._add(unit)

    async def _latest_keyframe(self, partition: int, end: int) -> int:
        """Its offset, or the log's end where none is near."""
        for seconds in _LOOK_BACK_SECONDS:
            since = await self._log.at(FRAMES.name, int((self._clock() - seconds) * 1000))
            found = None
            async with self._log.reader(FRAMES.name, {partition: since[partition]}, {partition: end}) as reader:
                async for batch in reader:
                    for record in batch:
                        if record.key == self._key and record.headers.get("keyframe") == b"1":
                            found = record.offset
            if found is not None:
                return found
        return end

    def _unit(self, record: Record) -> AccessUnit | None:
        if record.key != self._key:
            return None
        try:
            message = decode(record.key, record.value, record.headers)
        except CodecError as error:
            logger("gateway.video").warning("unreadable frame", offset=record.offset, error=str(error))
            return None
        return message if isinstance(message, AccessUnit) else None

    def _add(self, unit: AccessUnit) -> None:
        if unit.keyframe:
            self._gop, self._gop_bytes, self._started = [], 0, True
        elif not self._started:
            return
        self._gop_bytes += len(unit.data)
        if self._gop_bytes > _GOP_BYTES:
            # too long to be kept for newcomers: they wait for the next keyframe
            self._gop = []
        else:
            self._gop.append(unit)
        for viewer in self.viewers:
            viewer.offer(unit)


class Channels:
    """The channels in use. One ends some seconds after its last viewer has left."""

    def __init__(self, log: Log, clock: Callable[[], float]) -> None:
        self._log, self._clock = log, clock
        self._channels: dict[str, tuple[Channel, asyncio.Task[None]]] = {}

    @property
    def cameras(self) -> set[str]:
        return set(self._channels)

    @contextlib.asynccontextmanager
    async def watch(self, camera: str) -> AsyncIterator[Viewer]:
        """Raises LogUnavailable when too many cameras are watched already."""
        if camera not in self._channels:
            if len(self._channels) >= MAX_CHANNELS:
                raise LogUnavailable("too many cameras are watched at once")
            channel = Channel(self._log, camera, self._clock)
            self._channels[camera] = channel, asyncio.create_task(channel.run())
        channel = self._channels[camera][0]
        viewer = channel.join()
        try:
            yield viewer
        finally:
            channel.viewers.discard(viewer)
            if not channel.viewers:
                asyncio.get_running_loop().call_later(_LINGER_SECONDS, self._end_if_idle, camera, channel)

    async def close(self) -> None:
        tasks = [task for _, task in self._channels.values()]
        self._channels.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _end_if_idle(self, camera: str, channel: Channel) -> None:
        held = self._channels.get(camera)
        if held is not None and held[0] is channel and not channel.viewers:
            held[1].cancel()
            del self._channels[camera]

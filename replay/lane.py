"""In which order windows are looked at again: failures as they fall due, what was shed when there is room for it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, Protocol

from replay.window import due_ms
from runtime.logging import logger
from runtime.metrics import REPLAY_BACKFILLS, REPLAY_WAITING, REPLAY_WINDOWS
from schemas.messages import FailedWindow

ASK_SECONDS: Final = 2.0

_log = logger("replayer")


class Lane(Protocol):
    """One consumer group's share of the topic, so that what waits for room keeps no failure waiting."""

    @property
    def group(self) -> str: ...

    def takes(self, window: FailedWindow) -> bool: ...

    def turn(self, window: FailedWindow, stamped_ms: int) -> AbstractAsyncContextManager[None]:
        """The attempt belongs inside. `stamped_ms`: when the window was published."""
        ...

    def looked(self, window: FailedWindow, left: FailedWindow | None) -> None:
        """What came of the attempt; see `try_again`."""
        ...

    def assigned(self) -> None:
        """Others may have had the topic's partitions since."""
        ...


class Desk:
    """One attempt at a time in a process: two looks at the same stretch would publish the same revision."""

    def __init__(self) -> None:
        self.free = asyncio.Lock()
        self.failures = 0
        """that are due, or being looked at"""


class Failures:
    group: Final = "rewatch-replayer"

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def takes(self, window: FailedWindow) -> bool:
        return not window.shed

    @asynccontextmanager
    async def turn(self, window: FailedWindow, stamped_ms: int) -> AsyncIterator[None]:
        with REPLAY_WAITING.track_inprogress():
            await _due(window, stamped_ms)
        self._desk.failures += 1
        try:
            async with self._desk.free:
                yield
        finally:
            self._desk.failures -= 1

    def looked(self, window: FailedWindow, left: FailedWindow | None) -> None:
        if left is None:
            outcome = "repaired"
            _log.info("window repaired", **_about(window))
        else:
            outcome = "given_up" if left.given_up else "failed"
            _log.warning("window failed again", given_up=left.given_up, why=left.reason, **_about(window))
        REPLAY_WINDOWS.labels(window.camera, outcome).inc()

    def assigned(self) -> None:
        pass


class Backfills:
    """`crowded` says why there is no room; it may block."""

    group: Final = "rewatch-backfill"

    def __init__(self, desk: Desk, crowded: Callable[[], str]) -> None:
        self._desk, self._crowded = desk, crowded
        self._seen_to: dict[str, tuple[int, int]] = {}
        """by camera: from which offset on, up to which, all is looked at or will be with the window that is left"""

    def takes(self, window: FailedWindow) -> bool:
        first, end = self._seen_to.get(window.camera, (0, 0))
        return window.shed and (window.attempt > 0 or not first <= window.keyframe_offset < end)

    @asynccontextmanager
    async def turn(self, window: FailedWindow, stamped_ms: int) -> AsyncIterator[None]:
        said = ""
        with REPLAY_WAITING.track_inprogress():
            await _due(window, stamped_ms)
            while why := "failures go first" if self._desk.failures else await asyncio.to_thread(self._crowded):
                if why != said:
                    _log.info("waiting for room", camera=window.camera, why=why)
                    said = why
                await asyncio.sleep(ASK_SECONDS)
        async with self._desk.free:
            yield

    def looked(self, window: FailedWindow, left: FailedWindow | None) -> None:
        """One window is looked at for all that were shed with it: the others need not even be asked about."""
        outcome = "given_up" if left and left.given_up else "behind" if left and left.reason else "backfilled"
        _log.info("shed window looked at", outcome=outcome, why=left.reason if left else "", **_about(window))
        REPLAY_BACKFILLS.labels(window.camera, outcome).inc()
        self._seen_to.pop(window.camera, None)
        if left is not None and not left.given_up:
            # where something is left, it begins with the GOP at that offset
            self._seen_to[window.camera] = window.keyframe_offset, left.last_offset + bool(left.reason)

    def assigned(self) -> None:
        self._seen_to.clear()


def _about(window: FailedWindow) -> dict[str, str | int]:
    return {"camera": window.camera, "keyframe_offset": window.keyframe_offset, "attempt": window.attempt + 1}


async def _due(window: FailedWindow, stamped_ms: int) -> None:
    await asyncio.sleep(max(0.0, due_ms(window, stamped_ms) / 1000 - time.time()))

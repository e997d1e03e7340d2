"""Who decodes now: any number of sessions, or one alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """One per process. Whoever wants to be alone comes as soon as those inside are out; who comes later waits."""

    def __init__(self) -> None:
        self._door = asyncio.Lock()
        self._inside = 0
        self._empty = asyncio.Event()
        self._empty.set()

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        async with self._door:
            self._inside += 1
            self._empty.clear()
        try:
            yield
        finally:
            self._inside -= 1
            if self._inside == 0:
                self._empty.set()

    async def take_alone(self) -> None:
        await self._door.acquire()
        try:
            await self._empty.wait()
        except asyncio.CancelledError:
            self._door.release()
            raise

    def give_back(self) -> None:
        self._door.release()

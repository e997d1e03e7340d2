"""The first GOP behind a checkpoint: whoever resumes there says so in the log before it decodes, so that a GOP which
kills its worker is found and passed over (docs/adr/0013-poison.md)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from processors.turns import Turns
from schemas.messages import Checkpoint

MAX_RESUMES: Final = 2
"""so many workers may die of a GOP after the one that was killed first"""


class Probation:
    """Of one session. The first resume goes on beside the other cameras, the second alone, so that of all that were
    killed together only the guilty one is counted again. There is no third.

    `write` publishes a checkpoint and waits until it is acknowledged.
    """

    def __init__(
        self, restored: Checkpoint | None, write: Callable[[Checkpoint], Awaitable[None]], turns: Turns
    ) -> None:
        self._restored = restored
        """None: no more, the GOP is behind"""
        self._write, self._turns = write, turns
        self._marked = self._alone = False
        self._over = asyncio.Event()
        if restored is None:
            self._over.set()

    @property
    def poison(self) -> str:
        """Why the first GOP is not to be decoded; empty: it is, or it is behind."""
        if self._restored is None or self._restored.resumes < MAX_RESUMES:
            return ""
        return f"a worker that resumed at this GOP was killed before its end, {self._restored.resumes} times in a row"

    @asynccontextmanager
    async def decoding(self) -> AsyncIterator[None]:
        """Around what may kill whoever does it."""
        await self.begin()
        if self._alone:
            yield
        else:
            async with self._turns.shared():
                yield

    async def begin(self) -> None:
        restored = self._restored
        if restored is None:
            return
        if restored.resumes > 0 and not self._alone:
            await self._turns.take_alone()
            self._alone = True
        if not self._marked:
            self._marked = True
            await self._write(msgspec.structs.replace(restored, resumes=restored.resumes + 1))

    async def pause(self) -> None:
        """Nothing is there to be decoded: nobody has to wait for the camera's next picture."""
        if self._alone and self._restored is not None:
            await self.withdraw()
            self.leave()

    async def withdraw(self) -> None:
        """What ends the process from here on is none of this GOP's fault."""
        if self._marked and self._restored is not None:
            self._marked = False
            await self._write(self._restored)

    def passing(self) -> None:
        """A later checkpoint is about to be written: this one must not come behind it."""
        self._restored = None

    def passed(self) -> None:
        """The later checkpoint is acknowledged."""
        self._over.set()
        self.leave()

    async def over(self) -> None:
        await self._over.wait()

    def leave(self) -> None:
        if self._alone:
            self._alone = False
            self._turns.give_back()

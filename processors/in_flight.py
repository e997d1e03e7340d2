"""Requests to a server that must not be cancelled once they are under way.

Triton before 25.04 can end with a segmentation fault when a gRPC request is cancelled while its answer is being made
(race between the notification and the release of the request's state). A deadline of the client's cancels as well.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")

GIVE_UP_SECONDS: Final = 300.0
"""The deadline of a request that nobody waits for any more: what a server that hangs holds of them stays bounded."""


class InFlight:
    def __init__(self, seconds: float) -> None:
        """`seconds`: how long an answer is waited for."""
        self._seconds = seconds
        self._requests: set[asyncio.Task[Any]] = set()

    async def answer(self, request: Coroutine[Any, Any, T], left: Callable[[], None] = lambda: None) -> T:
        """What the request returns or raises. Raises TimeoutError when it takes too long.

        Whoever gives up waiting leaves it under way: it ends by itself. `left` is called then."""
        task = asyncio.create_task(request)
        self._requests.add(task)
        task.add_done_callback(self._over)
        try:
            # unlike `wait_for`, it leaves the task alone when it is cancelled or has waited long enough
            await asyncio.wait((task,), timeout=self._seconds)
        finally:
            if not task.done():
                left()
        if not task.done():
            raise TimeoutError(f"no answer within {self._seconds:.0f} s")
        return task.result()

    async def drain(self, seconds: float) -> None:
        """Until all have ended, or for so long."""
        if self._requests:
            await asyncio.wait(tuple(self._requests), timeout=seconds)

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._requests.discard(task)
        if not task.cancelled():
            # nobody may be left to ask
            task.exception()

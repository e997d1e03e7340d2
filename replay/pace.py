"""Looking again no faster than it was captured, or than a multiple of that."""

import asyncio
from collections.abc import Awaitable, Callable


class Pace:
    """Capture time from `from_ns` on passes at most `speed` times as fast as the clock; what lies before does not wait.

    The clock (seconds) begins at the first record that it is asked about.
    """

    def __init__(
        self,
        speed: float,
        from_ns: int,
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._speed, self._from_ns = speed, from_ns
        self._clock, self._sleep = clock or asyncio.get_running_loop().time, sleep
        self._begun: float | None = None

    async def wait(self, captured_ns: int) -> None:
        """Until the record is due. Behind time it does not wait, and nothing is left out."""
        if captured_ns < self._from_ns:
            return
        if self._begun is None:
            self._begun = self._clock()
        due = self._begun + (captured_ns - self._from_ns) / 1e9 / self._speed
        if (left := due - self._clock()) > 0:
            await self._sleep(left)

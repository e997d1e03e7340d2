"""Capture time: when a picture was taken, in nanoseconds since 1970, from its place on the timeline."""

import time
from fractions import Fraction
from typing import Final

_NS: Final = 10**9
_TOLERANCE_NS: Final = _NS
_PATIENCE_NS: Final = 5 * _NS
_PAUSE_NS: Final = 10_000_000
_LONGEST_BURST: Final = 256


class ArrivalClock:
    """The time of day for arrivals: steps of the system's clock move it only between sessions, and never back."""

    def __init__(self) -> None:
        self._base = 0
        self.follow()

    def follow(self) -> None:
        self._base = max(self._base, time.time_ns() - time.monotonic_ns())

    def now_ns(self) -> int:
        return self._base + time.monotonic_ns()


class CaptureClock:
    """`at(pts)` is linear, so pictures that differ in pts differ in capture time, whatever their order.

    `parted` says that the source's clock and ours no longer agree: a packet came more than a second before its
    capture, or all packets of five seconds came more than a second after theirs (one late packet is only delayed).
    """

    def __init__(self, time_base: Fraction, pts: int, captured_ns: int) -> None:
        """`time_base`: seconds per tick."""
        self._numerator, self._denominator = (time_base * _NS).as_integer_ratio()
        self._pts, self._ns = pts, captured_ns
        self._late_since_ns: int | None = None
        self.parted = False

    def at(self, pts: int) -> int:
        return self._ns + (pts - self._pts) * self._numerator // self._denominator

    def observe(self, pts: int, arrival_ns: int) -> None:
        late = arrival_ns - self.at(pts)
        if late <= _TOLERANCE_NS:
            self._late_since_ns = None
        elif self._late_since_ns is None:
            self._late_since_ns = arrival_ns
        lasting = self._late_since_ns is not None and arrival_ns - self._late_since_ns >= _PATIENCE_NS
        self.parted = late < -_TOLERANCE_NS or lasting


class Anchor:
    """Where a live session's clock begins: the least of arrival minus pts over the burst in which a source hands out
    what it has buffered, for the pictures of a burst were taken before it."""

    def __init__(self, time_base: Fraction) -> None:
        self._time_base = time_base
        self._seen = 0
        self._last_ns: int | None = None
        self._best: tuple[int, int, int] | None = None
        self.settled = False

    def add(self, pts: int, arrival_ns: int) -> None:
        """Settles with the first packet that had to be waited for."""
        distance = arrival_ns - int(pts * self._time_base * _NS)
        if self._best is None or distance < self._best[0]:
            self._best = distance, pts, arrival_ns
        waited = self._last_ns is not None and arrival_ns - self._last_ns >= _PAUSE_NS
        self._seen += 1
        self._last_ns = arrival_ns
        self.settled = waited or self._seen >= _LONGEST_BURST

    def clock(self) -> CaptureClock:
        assert self._best is not None, "no packet added"
        _, pts, arrival_ns = self._best
        return CaptureClock(self._time_base, pts, arrival_ns)


def not_before(clock: CaptureClock, time_base: Fraction, pts: int, floor_ns: int) -> CaptureClock:
    """The same clock, or one by which the picture at `pts` was taken just after `floor_ns`."""
    return clock if clock.at(pts) > floor_ns else CaptureClock(time_base, pts, floor_ns + 1)

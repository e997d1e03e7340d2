"""Presentation timestamps as sources should have sent them: none missing, none twice, no restart, no wrap."""

from collections import deque
from fractions import Fraction
from typing import Final

_WRAPS: Final = (1 << 33, 1 << 32)
"""MPEG-TS counts in 33 bits, RTP and RTMP in 32"""
_REORDER_FRAMES: Final = 17
"""a decoder holds 16 pictures at most (H.264 A.3.1, H.265 A.4.2): no later picture is shown earlier than that"""
_LIVE_JUMP_SECONDS: Final = 1
_FILE_JUMP_SECONDS: Final = 3600
_DEFAULT_RATE: Final = 25
_NS: Final = 10**9


class Timeline:
    """Places every picture of one open source on one line of ticks, in which only reordered pictures go back.

    A live source's clock is held against the arrival of its packets; a file's own clock is believed up to an hour.
    """

    def __init__(self, time_base: Fraction, live: bool, rate: Fraction | None = None) -> None:
        self._second = 1 / time_base
        self._live = live
        self._step = max(1, round(self._second / (rate or _DEFAULT_RATE)))
        self._offset: int | None = None
        self._highest: int | None = None
        self._arrival_ns = 0
        self._recent: deque[int] = deque(maxlen=4 * _REORDER_FRAMES)
        self._follow_on = False
        self.jumps = 0
        """times the source's clock was found somewhere else and was brought back to the line"""

    @property
    def step(self) -> int:
        """Ticks from one picture to the next, as last seen."""
        return self._step

    def place(self, pts: int | None, arrival_ns: int, entry: bool) -> int:
        """`entry`: a closed entry point. It is shown after every earlier picture in decode order, which tells a
        restart of the source's clock from reordering."""
        placed = self._placed(pts, arrival_ns, entry)
        while placed in self._recent:
            placed += 1
        self._recent.append(placed)
        if self._highest is None or placed > self._highest:
            if self._highest is not None and placed - self._highest <= self._second:
                self._step = placed - self._highest
            self._highest = placed
        self._arrival_ns = arrival_ns
        return placed

    def follow_on(self) -> None:
        """The source begins again, as a looped file does: its next timestamp follows the last one."""
        self._follow_on = True

    def _placed(self, pts: int | None, arrival_ns: int, entry: bool) -> int:
        highest = self._highest
        if pts is None:
            return 0 if highest is None else highest + self._expected(arrival_ns)
        if highest is None:
            self._offset = 0
            return pts
        if self._offset is None and 0 < pts - highest <= self._second:
            # RTSP by FFmpeg: the first picture has no timestamp, and the others count from it
            self._offset = 0
        elif self._offset is None or self._follow_on:
            self._follow_on = False
            self._offset = highest + self._step - pts
            return highest + self._step
        placed = pts + self._offset
        if self._jumped(placed, highest, arrival_ns, entry):
            placed = self._back_on_line(placed, highest, arrival_ns)
            self._offset = placed - pts
        return placed

    def _jumped(self, placed: int, highest: int, arrival_ns: int, entry: bool) -> bool:
        if placed <= highest:
            return entry or highest - placed > _REORDER_FRAMES * self._step
        if not self._live:
            return placed - highest > _FILE_JUMP_SECONDS * self._second
        return placed - highest > _LIVE_JUMP_SECONDS * self._second + self._waited(arrival_ns)

    def _back_on_line(self, placed: int, highest: int, arrival_ns: int) -> int:
        for wrap in _WRAPS:
            if abs(placed + wrap - highest) <= _LIVE_JUMP_SECONDS * self._second:
                return placed + wrap
        self.jumps += 1
        return highest + self._expected(arrival_ns)

    def _expected(self, arrival_ns: int) -> int:
        # packets come in bursts: only a pause says more than the usual distance
        waited = int(self._waited(arrival_ns)) if self._live else 0
        return waited if waited > self._second else self._step

    def _waited(self, arrival_ns: int) -> Fraction:
        return (arrival_ns - self._arrival_ns) * self._second / _NS

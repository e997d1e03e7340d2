"""What a traffic light showed, and since when: single readings made into phases."""

from typing import Final

from msgspec import Struct

from vision.scene import Phase

_READINGS: Final = 3
_STEADY_NS: Final = 200_000_000
_DARK_NS: Final = 3_000_000_000
"""A light that was unreadable for less (a bus in front of it) and comes back the same has been so all the time: no
light gets through green and amber in between."""
_REMEMBERED: Final = 4


class Shown(Struct, frozen=True):
    phase: Phase
    since_ns: int


class PhaseWatch(Struct, frozen=True):
    history: tuple[Shown, ...] = ()
    """the last phases, oldest first"""
    candidate: Phase | None = None
    candidate_ns: int = 0
    candidate_readings: int = 0


def step(watch: PhaseWatch, reading: Phase, captured_ns: int) -> PhaseWatch:
    """One reading on. Another phase holds once it was read three times in a row, or twice over 0.2 s; it then began at
    its first reading."""
    if not watch.history:
        return PhaseWatch((Shown(reading, captured_ns),))
    if reading == watch.history[-1].phase:
        return PhaseWatch(watch.history)
    if reading != watch.candidate:
        return PhaseWatch(watch.history, reading, captured_ns, 1)
    readings = watch.candidate_readings + 1
    if readings < _READINGS and captured_ns - watch.candidate_ns < _STEADY_NS:
        return PhaseWatch(watch.history, reading, watch.candidate_ns, readings)
    return PhaseWatch(_turned(watch.history, Shown(reading, watch.candidate_ns)))


def shown_at(watch: PhaseWatch, when_ns: int) -> Shown | None:
    """The phase at a moment; None before the first reading."""
    for shown in reversed(watch.history):
        if shown.since_ns <= when_ns:
            return shown
    return None


def _turned(history: tuple[Shown, ...], new: Shown) -> tuple[Shown, ...]:
    if (
        len(history) >= 2
        and history[-1].phase == "off"
        and history[-2].phase == new.phase
        and new.since_ns - history[-1].since_ns <= _DARK_NS
    ):
        return history[:-1]
    return (*history, new)[-_REMEMBERED:]

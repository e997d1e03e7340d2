"""Which cameras of a worker that cannot keep up are analysed less. What was measured in, the next levels out."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

STRIDES: Final = (1, 2, 4)
"""by level: of so many sampled frames one is inferred"""
KEYFRAMES_ONLY: Final = len(STRIDES)
"""the last level: nothing else of the GOP is decoded"""

SETTLE_SECONDS: Final = 2.0
"""after a step up, before the next: what was measured before it says nothing of it"""
CALM_SHARE: Final = 0.5
"""of the budget: what is slower than that is not calm"""
PATIENCE_SECONDS: Final = 10.0
"""calm for so long, and one step down is tried"""
LONGEST_PATIENCE_SECONDS: Final = 320.0
TRIAL_SECONDS: Final = 60.0
"""a step down that lasts shorter was a mistake: before the next one to there, the patience is twice as long"""


class Load(Struct, frozen=True):
    """One camera, as it was measured."""

    camera: str
    seconds: float
    """95th percentile, from the arrival in the log to the result"""
    priority: int = 0
    objects: int = 0
    """boxes in its last frame"""


class Shedding(Struct, frozen=True):
    levels: dict[str, int] = {}
    raised: float = float("-inf")
    lowered: float = float("-inf")
    calm: float | None = None
    """since when every camera has been well under the budget"""
    patience: float = PATIENCE_SECONDS
    floor: int = -1
    """sum of the levels that was too much for the worker: to go there again wants `patience`"""


def step(before: Shedding, loads: Sequence[Load], now: float, budget_seconds: float) -> Shedding:
    """One step at most: over the budget one camera goes up a level, the least of them first; after some calm one comes
    down, the most important first. `now` in seconds of any clock that does not go back.

    A camera is touched only when those of lower priority are at keyframes only. Among equals the levels are the same to
    within one, and an empty scene goes before a full one.
    """
    levels = _present(before.levels, loads)
    slowest = max((load.seconds for load in loads), default=0.0)
    total = sum(levels.values())
    trial = before.lowered > before.raised
    held = trial and now - before.lowered >= TRIAL_SECONDS
    if slowest > budget_seconds:
        state = replace(before, levels=levels, calm=None)
        candidates = [load for load in loads if levels[load.camera] < KEYFRAMES_ONLY]
        if not candidates or now - before.raised < SETTLE_SECONDS:
            return state
        if held:
            state = replace(state, patience=PATIENCE_SECONDS, floor=-1)
        elif trial:
            state = replace(state, patience=min(2 * before.patience, LONGEST_PATIENCE_SECONDS), floor=total)
        least = min(candidates, key=lambda load: (load.priority, levels[load.camera], load.objects, load.camera))
        return replace(state, levels=_moved(levels, least, 1), raised=now)
    if slowest > CALM_SHARE * budget_seconds:
        return replace(before, levels=levels, calm=None)
    calm = now if before.calm is None else before.calm
    state = replace(before, levels=levels, calm=calm)
    if held and total <= before.floor:
        state = replace(state, patience=PATIENCE_SECONDS, floor=-1)
    candidates = [load for load in loads if levels[load.camera] > 0]
    patience = state.patience if total - 1 <= state.floor else PATIENCE_SECONDS
    if not candidates or now - max(calm, before.raised, before.lowered) < patience:
        return state
    most = max(candidates, key=lambda load: (load.priority, levels[load.camera], load.objects, load.camera))
    return replace(state, levels=_moved(levels, most, -1), lowered=now)


def _present(levels: dict[str, int], loads: Sequence[Load]) -> dict[str, int]:
    """Who is gone is forgotten; who is new, or has a lower priority now, comes after those who are shed already."""
    shed = [load.priority for load in loads if levels.get(load.camera, 0) > 0]
    border = max(shed, default=None)
    return {
        load.camera: KEYFRAMES_ONLY if border is not None and load.priority < border else levels.get(load.camera, 0)
        for load in loads
    }


def _moved(levels: dict[str, int], load: Load, by: int) -> dict[str, int]:
    return {**levels, load.camera: levels[load.camera] + by}

"""Trial after trial, before an audience, to the best of them."""

import time
from collections.abc import Callable, Sequence

import msgspec

from training.audience import Audience
from training.search.attempt import Attempt
from training.search.outcome import Tried
from training.search.study import Search, SearchError


class Progress:
    """An audience of a trial: its steps are a share of those of all trials; the rest of what it says is left out."""

    def __init__(self, audience: Audience, trials: int) -> None:
        self._audience, self._trials = audience, trials
        self.over = 0

    def say(self, line: str) -> None:
        pass

    def step(self, done: int, of: int) -> None:
        self._audience.step(self.over * of + done, self._trials * of)


def try_out(
    search: Search,
    attempt: Callable[[Audience], Attempt],
    trials: int,
    seconds: float | None,
    audience: Audience,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Tried, ...]:
    """All that were tried, those of before among them. After so many seconds no further one is begun.

    Raises SearchError, and what an attempt lets through.
    """
    if trials < 1:
        raise SearchError(f"{trials} trials: at least one is wanted")
    progress, begun = Progress(audience, trials), clock()
    trying = attempt(progress)
    tried = search.tried()
    if tried:
        audience.say(f"going on: {len(tried)} were tried before")
    while len(tried) < trials and (seconds is None or clock() - begun < seconds):
        progress.over = len(tried)
        one = search.try_next(trying)
        tried = (*tried, one)
        audience.say(f"trial {one.number} of {trials}: {_told(one)}")
    return tried


def best_of(tried: Sequence[Tried]) -> Tried:
    """The first of those that reached most. Raises SearchError where none has finished."""
    finished = [one for one in tried if one.state == "finished"]
    if not finished:
        ends = "; ".join(f"trial {one.number}: {_told(one)}" for one in tried[:3]) or "none was begun"
        raise SearchError(f"no trial has finished ({ends})")
    return max(finished, key=lambda one: (one.figure or 0.0, -one.number))


def _told(one: Tried) -> str:
    chosen = ", ".join(
        f"{name.replace('_', ' ')} {value:.3g}" for name, value in msgspec.structs.asdict(one.chosen).items()
    )
    if one.state == "failed":
        return f"failed: {one.reason}; {chosen}"
    reached = f"mAP50-95 {one.figure:.3f}" if one.figure is not None else ""
    return f"{reached}, {chosen}" if one.state == "finished" else f"pruned at step {one.step} with {reached}; {chosen}"

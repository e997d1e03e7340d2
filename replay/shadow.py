"""Two models in the shadow: both look at the same stretch of the log, and neither publishes anything."""

import functools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

from msgspec import Struct

from experiments.significance import Effect, paired
from processors.errors import WindowFailedError
from processors.keyframe_index import KeyframeIndex
from processors.triton import Spent, TritonDetector
from replay.again import look_again
from replay.log import LogGoneError
from replay.pairing import Paired, Side, agreement, pair
from replay.scoring import Occurrence, Score
from runtime.config import Settings
from schemas.analysis import changed
from schemas.messages import ReplayRequest, ShadowWanted
from schemas.results import Result

Verdict = Literal["better", "worse", "more events", "fewer events", "no difference", "not enough data"]
_HOUR_SECONDS: Final = 3600.0
_NS: Final = 1_000_000_000


class Candidate(Struct, frozen=True):
    model: str
    version: str = ""
    """empty: the one that is live"""

    @classmethod
    def of(cls, text: str) -> "Candidate":
        """Raises ValueError."""
        model, _, version = text.partition(":")
        if not model or (":" in text and not version.isdigit()):
            raise ValueError(f"{text!r} is neither a model nor a version of one such as NAME:2")
        return cls(model, version)


class Stretch(Struct, frozen=True):
    cameras: tuple[str, ...]
    from_ns: int
    to_ns: int
    window_seconds: float

    @property
    def window_ns(self) -> int:
        return round(self.window_seconds * _NS)

    @property
    def count(self) -> int:
        """Whole windows; what is left over at the end is not looked at."""
        return (self.to_ns - self.from_ns) // self.window_ns


class Arm(Struct, frozen=True):
    model: str
    version: str
    events_per_hour: dict[str, float]
    """by kind"""
    milliseconds: float | None
    """that Triton computes for a frame; whoever else asks the same version meanwhile is in it"""
    precision: float | None
    recall: float | None


class Shadow(Struct, frozen=True):
    a: Arm
    b: Arm
    cameras: tuple[str, ...]
    failed: dict[str, str]
    """cameras that could not be looked at, and why"""
    windows: int
    """of a camera, seen by both"""
    window_seconds: float
    frames: int
    only_a: int
    only_b: int
    box_agreement: float | None
    event_agreement: float | None
    judged_by: Literal["errors per hour", "events per hour"]
    effect: Effect
    verdict: Verdict
    """of B; better and worse only where the truth is known"""
    seed: int


async def shadow(
    settings: Settings,
    detector: TritonDetector,
    stretch: Stretch,
    candidates: tuple[Candidate, Candidate],
    truth: Mapping[str, Sequence[Occurrence]],
    seed: int,
    index: KeyframeIndex | None = None,
    said: Callable[[str], None] = lambda _: None,
    keep: Callable[[Result], None] = lambda _: None,
) -> Shadow:
    """Raises LogSilentError, and ValueError for what cannot be asked for: a model that nobody serves, a stretch shorter
    than a window. Where there is `truth` there is some of every camera."""
    if stretch.window_ns <= 0 or stretch.count < 1:
        raise ValueError(f"from its beginning to its end is less than one window of {stretch.window_seconds:g} s")
    if truth and (without := [camera for camera in stretch.cameras if camera not in truth]):
        raise ValueError(f"there is no truth of {', '.join(without)}")
    asked = []
    for candidate in candidates:
        try:
            asked.append(await detector.contract(candidate.model, candidate.version))
        except WindowFailedError as error:
            raise ValueError(str(error)) from error
    if (asked[0].name, asked[0].version) == (asked[1].name, asked[1].version):
        raise ValueError(f"both are version {asked[0].version} of {asked[0].name}")
    found: list[Paired] = []
    spent = [Spent(), Spent()]
    failed: dict[str, str] = {}
    for camera in stretch.cameras:
        sides: list[Side] = []
        try:
            for arm, contract in enumerate(asked):
                said(f"{camera}: {contract.name} {contract.version}")
                before = await detector.spent(contract)
                again = await look_again(
                    settings.kafka, detector, camera, stretch.from_ns, stretch.to_ns,
                    change=functools.partial(changed, changes={"model": contract.name}), keep=keep,
                    threads=settings.decode_threads, index=index, named=_always(contract.version),
                )  # fmt: skip
                spent[arm] += await detector.spent(contract) - before
                sides.append(Side.of(again.found.values(), stretch.from_ns, stretch.to_ns))
        except LogGoneError as error:
            failed[camera] = str(error)
            continue
        a, b = sides
        found.append(pair(camera, stretch.from_ns, stretch.window_ns, stretch.count, a, b, truth.get(camera)))
    arms = [
        Arm(
            contract.name,
            contract.version,
            _per_hour(
                [one.kinds[arm] for one in found], sum(len(one.windows) for one in found) * stretch.window_seconds
            ),
            spent[arm].milliseconds,
            *_against([one.against_truth[arm] for one in found if one.against_truth is not None]),
        )
        for arm, contract in enumerate(asked)
    ]
    return report(stretch, arms[0], arms[1], found, failed, seed)


async def asked_for(
    settings: Settings,
    detector: TritonDetector,
    request: ReplayRequest,
    keep: Callable[[Result], None] = lambda _: None,
    index: KeyframeIndex | None = None,
) -> Shadow:
    """What a request of the kind `shadow` wants. Raises as `shadow`, and LogGoneError."""
    if not isinstance(request.shadow, ShadowWanted):
        raise ValueError("it does not say which two models")
    wanted = request.shadow
    stretch = Stretch((request.camera,), request.from_ns, request.to_ns, wanted.window_seconds)
    candidates = Candidate.of(wanted.a), Candidate.of(wanted.b)
    found = await shadow(settings, detector, stretch, candidates, {}, wanted.seed, index, keep=keep)
    if found.failed:
        raise LogGoneError(found.failed[request.camera])
    return found


def report(stretch: Stretch, a: Arm, b: Arm, found: Sequence[Paired], failed: Mapping[str, str], seed: int) -> Shadow:
    """What the pairs of all cameras say together."""
    windows = [window for one in found for window in one.windows]
    an_hour = _HOUR_SECONDS / stretch.window_seconds
    judged = [window.errors for window in windows if window.errors is not None]
    known = len(judged) == len(windows) and a.precision is not None
    counts = judged if known else [(window.events.truth, window.events.found) for window in windows]
    effect = paired([first * an_hour for first, _ in counts], [second * an_hour for _, second in counts], seed)
    return Shadow(
        a=a,
        b=b,
        cameras=stretch.cameras,
        failed=dict(failed),
        windows=len(windows),
        window_seconds=stretch.window_seconds,
        frames=sum(one.frames for one in found),
        only_a=sum(one.only_a for one in found),
        only_b=sum(one.only_b for one in found),
        box_agreement=agreement(window.boxes for window in windows),
        event_agreement=agreement(window.events for window in windows),
        judged_by="errors per hour" if known else "events per hour",
        effect=effect,
        verdict=_verdict(effect, known),
        seed=seed,
    )


def _verdict(effect: Effect, known: bool) -> Verdict:
    if effect.missing:
        return "not enough data"
    if not effect.significant or not effect.difference:
        return "no difference"
    if known:
        return "better" if effect.difference < 0 else "worse"
    return "more events" if effect.difference > 0 else "fewer events"


def _per_hour(kinds: Sequence[Mapping[str, int]], seconds: float) -> dict[str, float]:
    total: Counter[str] = Counter()
    for counts in kinds:
        total.update(counts)
    return {kind: round(count * _HOUR_SECONDS / seconds, 2) for kind, count in sorted(total.items())}


def _against(scores: Sequence[Score]) -> tuple[float | None, float | None]:
    """Precision and recall; null without a truth."""
    if not scores:
        return None, None
    total = sum(scores, Score(0, 0, 0))
    return round(total.precision, 4), round(total.recall, 4)


def _always(version: str) -> Callable[[str, int], str]:
    return lambda model, captured_ns: version

"""What two models have found on their shares of the live cameras, and whether that is chance."""

from collections import Counter
from collections.abc import Mapping
from typing import Final, Literal

import msgspec
from msgspec import Struct

from experiments.gathering import Seen
from experiments.significance import ALPHA, MIN_WINDOWS, Effect, holm, unpaired
from schemas.experiment import ArmName

Verdict = Literal["more events", "fewer events", "no difference", "not enough data"]
ALL: Final = "all"
"""beside the kinds of events: every one of them"""
_HOUR_SECONDS: Final = 3600.0


class Figures(Struct, frozen=True):
    """Of one camera, from windows in which its arm's model and no other has answered."""

    camera: str
    arm: ArmName
    windows: int
    events_per_hour: dict[str, float]


class Kind(Struct, frozen=True):
    """Events of one kind: cameras' means per hour, B against A."""

    kind: str
    effect: Effect
    p_of_many: float | None
    """the effect's p, adjusted for the number of kinds (Holm)"""
    verdict: Verdict


class Shares(Struct, frozen=True):
    a: str
    b: str
    window_seconds: float
    windows: dict[ArmName, int]
    cameras: tuple[Figures, ...]
    kinds: tuple[Kind, ...]
    seed: int


def report(
    seen: Seen, a: str, b: str, arms: Mapping[str, ArmName], from_ns: int, window_seconds: float, seed: int
) -> Shares:
    """`arms`: of each camera; where a camera is not in it, that of the model which has answered longer."""
    window_ns = round(window_seconds * 1e9)
    model_of: dict[ArmName, str] = {"a": a, "b": b}
    figures = []
    for camera, windows in sorted(seen.models.items()):
        pure = {arm: {at for at, models in windows.items() if models == {model}} for arm, model in model_of.items()}
        arm: ArmName = arms[camera] if camera in arms else ("b" if len(pure["b"]) > len(pure["a"]) else "a")
        if (arms and camera not in arms) or not pure[arm]:
            continue
        counts = Counter(
            event.kind
            for event in seen.events
            if event.camera == camera and (event.captured_ns - from_ns) // window_ns in pure[arm]
        )
        hours = len(pure[arm]) * window_seconds / _HOUR_SECONDS
        rates = {kind: count / hours for kind, count in counts.items()}
        figures.append(Figures(camera, arm, len(pure[arm]), {ALL: counts.total() / hours, **rates}))
    windows_of: dict[ArmName, int] = {arm: sum(each.windows for each in figures if each.arm == arm) for arm in model_of}
    names = [ALL, *sorted({kind for each in figures for kind in each.events_per_hour} - {ALL})]
    effects = [_effect(figures, kind, len(names), windows_of, seed) for kind in names]
    adjusted = iter(holm([effect.p for effect in effects if effect.p is not None]))
    kinds = []
    for kind, effect in zip(names, effects, strict=True):
        p = next(adjusted) if effect.p is not None else None
        kinds.append(Kind(kind, effect, p, _verdict(effect, p)))
    return Shares(a, b, window_seconds, windows_of, tuple(figures), tuple(kinds), seed)


def _effect(figures: list[Figures], kind: str, tests: int, windows: Mapping[ArmName, int], seed: int) -> Effect:
    first, second = [[each.events_per_hour.get(kind, 0.0) for each in figures if each.arm == arm] for arm in ("a", "b")]
    effect = unpaired(first, second, seed, tests)
    few = {arm: count for arm, count in windows.items() if count < MIN_WINDOWS}
    if few and not effect.missing:
        said = " and ".join(f"{count} windows of arm {arm}" for arm, count in few.items())
        effect = msgspec.structs.replace(effect, p=None, missing=f"{said}, {MIN_WINDOWS} are wanted")
    return effect


def _verdict(effect: Effect, p: float | None) -> Verdict:
    if p is None:
        return "not enough data"
    if p >= ALPHA or not effect.difference:
        return "no difference"
    return "more events" if effect.difference > 0 else "fewer events"

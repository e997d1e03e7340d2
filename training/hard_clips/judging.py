"""How well objects are found in held-out clips that were made hard, each watched from its first picture to its last."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from simulator.actors import LABELS
from training.average_precision import Found, Objects, of_class
from training.hard_clips.clip_set import ClipSet
from training.hard_clips.gain import ALL, Compared, Gain
from training.hard_clips.hardship import Hard
from training.matching import Matched, ranking

Floats: TypeAlias = NDArray[np.float32]
Step: TypeAlias = Callable[[NDArray[np.uint8], Floats], tuple[Floats, Floats]]
"""pictures [N, H, W, 3] and memory [N, ...] to rows [N, K, 6] and the next memory"""
Table: TypeAlias = Sequence[Sequence[Mapping[int, Matched]]]
"""by scene, picture and class"""
_DRAWS: Final = 200


class Judged(Struct, frozen=True):
    """Held-out clips as they are shown: by scene its hard pictures, and by scene and picture what is in it. `parts`:
    bool [s, t] by kind of picture."""

    hard: Sequence[Hard]
    truth: Sequence[Sequence[Objects]]
    parts: dict[str, NDArray[np.bool_]]


def judged(clips: ClipSet, hard: Sequence[Hard]) -> Judged:
    """`occluded`: at least one object that is wanted is hidden; `clear`: none of the hardships but noise."""
    scenes, pictures = clips.pixels.shape[:2]
    truth = [[clips.objects(scene, index) for index in range(pictures)] for scene in range(scenes)]
    occluded = np.array(
        [
            [bool((hard[scene].hidden(index, one) & ~one.crowd).any()) for index, one in enumerate(row)]
            for scene, row in enumerate(truth)
        ]
    )
    blurred, faded = (np.stack([getattr(one, name) for one in hard]) for name in ("blurred", "faded"))
    parts = {
        ALL: np.ones((scenes, pictures), bool),
        "occluded": occluded,
        "blurred": blurred,
        "faded": faded,
        "occluded, blurred or faded": occluded | blurred | faded,
        "clear": ~(occluded | blurred | faded),
    }
    return Judged(hard, truth, parts)


def watch(step: Step, clips: Judged, memory: tuple[int, ...]) -> Table:
    """All scenes go on at once, each with a memory of its own."""
    return tabled(_remembering(step, clips, memory), clips)


def of_hidden(clips: Judged) -> Judged:
    """The same with nothing wanted but what is hidden; other objects are ignored as crowds are."""
    truth = [
        [msgspec.structs.replace(one, crowd=one.crowd | ~hard.hidden(index, one)) for index, one in enumerate(row)]
        for row, hard in zip(clips.truth, clips.hard, strict=True)
    ]
    return msgspec.structs.replace(clips, truth=truth)


def _remembering(step: Step, clips: Judged, memory: tuple[int, ...]) -> Iterator[Floats]:
    kept = np.zeros((len(clips.hard), *memory), np.float32)
    for index in range(len(clips.truth[0])):
        rows, kept = step(np.stack([one.pixels[index] for one in clips.hard]), kept)
        yield rows


def tabled(answers: Iterable[Floats], clips: Judged) -> Table:
    """`answers`: to each picture in turn, of all scenes at once, rows [s, K, 6]."""
    made: list[list[Mapping[int, Matched]]] = [[] for _ in clips.hard]
    for index, rows in enumerate(answers):
        for scene, own in enumerate(rows):
            used = own[own[:, 4] > 0].astype(np.float64)
            said = Found(used[:, :4], used[:, 4], used[:, 5].astype(np.int64))
            truth = clips.truth[scene][index]
            made[scene].append({label: of_class(label, truth, said) for label in range(len(LABELS))})
    return made


def precisions(table: Table, part: NDArray[np.bool_]) -> dict[int, NDArray[np.float64]]:
    """By class that occurs in these pictures: average precision at each threshold [10]."""
    pictures = [table[scene][index] for scene, index in np.argwhere(part)]
    result = {}
    for label in range(len(LABELS)):
        mine = [picture[label] for picture in pictures]
        if sum(one.wanted for one in mine):
            result[label] = ranking(mine).precision
    return result


def compared(one: Table, other: Table, part: NDArray[np.bool_]) -> Compared | None:
    """None where there is nothing to find."""
    whole = [precisions(table, part) for table in (one, other)]
    if not whole[0]:
        return None
    figures = [np.stack(list(each.values())) for each in whole]
    (first, second), (first_95, second_95) = [table[:, 0].mean() for table in figures], [t.mean() for t in figures]
    dice = np.random.default_rng(0)
    by_scene = [_scenes(table, part) for table in (one, other)]
    drawn = [dice.integers(0, len(part), len(part)) for _ in range(_DRAWS)]
    means = np.array([[_mean50(table, scenes) for table in by_scene] for scenes in drawn])
    low, high = np.nanquantile(means[:, 0] / np.maximum(means[:, 1], 1e-9) - 1, (0.025, 0.975))
    gain = Gain(*(round(float(share), 4) for share in (first / max(second, 1e-9) - 1, low, high)))
    return Compared(
        pictures=int(part.sum()),
        objects=sum(one.wanted for each in by_scene[0] for one in each.values()),
        map50=(round(float(first), 4), round(float(second), 4)),
        map50_95=(round(float(first_95), 4), round(float(second_95), 4)),
        gain50=gain,
    )


def by_class(one: Table, other: Table, part: NDArray[np.bool_]) -> dict[str, tuple[float, float]]:
    """mAP50-95 of both by class."""
    first, second = (precisions(table, part) for table in (one, other))
    return {
        LABELS[label]: (round(float(first[label].mean()), 4), round(float(second[label].mean()), 4)) for label in first
    }


def _scenes(table: Table, part: NDArray[np.bool_]) -> list[dict[int, Matched]]:
    """By scene and class: all that was found in its pictures, at the first threshold alone."""
    result = []
    for row, own in zip(table, part, strict=True):
        pictures = [picture for picture, mine in zip(row, own, strict=True) if mine]
        result.append({label: _joined([picture[label] for picture in pictures]) for label in range(len(LABELS))})
    return result


def _joined(pictures: Sequence[Matched]) -> Matched:
    if not pictures:
        return Matched(np.zeros(0), np.zeros((1, 0), bool), np.zeros((1, 0), bool), 0)
    hit, skip = (np.concatenate([getattr(one, name)[:1] for one in pictures], axis=1) for name in ("hit", "skip"))
    return Matched(np.concatenate([one.scores for one in pictures]), hit, skip, sum(one.wanted for one in pictures))


def _mean50(scenes: Sequence[Mapping[int, Matched]], drawn: NDArray[np.int64]) -> float:
    """mAP50 of scenes that were drawn; NaN where they hold nothing to find."""
    figures = []
    for label in range(len(LABELS)):
        mine = [scenes[scene][label] for scene in drawn]
        if sum(one.wanted for one in mine):
            figures.append(float(ranking(mine).precision[0]))
    return float(np.mean(figures)) if figures else float("nan")

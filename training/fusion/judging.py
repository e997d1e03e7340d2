"""How often a network is right about held-out clips, each watched from its first picture to its last."""

from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from training.fusion.activity import ACTIVITIES
from training.fusion.clip_set import ClipSet
from training.fusion.report import Gain, Scores

Floats: TypeAlias = NDArray[np.float32]
Step: TypeAlias = Callable[[NDArray[np.uint8], Floats, Floats], tuple[Floats, Floats, Floats]]
"""pictures [N, H, W, 3], h and c [N, STATE] to probabilities [N, classes] and the next h and c"""
_DRAWS: Final = 2000


def watch(step: Step, clips: ClipSet, state: int) -> NDArray[np.int64]:
    """What is said [s, t] of each picture; all scenes go on at once, each with a state of its own."""
    scenes, pictures = clips.states.shape
    h = c = np.zeros((scenes, state), np.float32)
    said = np.zeros((scenes, pictures), np.int64)
    for index in range(pictures):
        probabilities, h, c = step(np.ascontiguousarray(clips.pixels[:, index]), h, c)
        said[:, index] = probabilities.argmax(axis=1)
    return said


def scores(truth: NDArray[np.integer], said: NDArray[np.integer]) -> Scores:
    """A state that neither was nor was said does not count in the mean."""
    count = len(ACTIVITIES)
    table = np.bincount(truth.ravel() * count + said.ravel(), minlength=count * count).reshape(count, count)
    right, both = np.diag(table), table.sum(axis=0) + table.sum(axis=1)
    f1 = {name: 2 * float(right[place]) / float(both[place]) for place, name in enumerate(ACTIVITIES) if both[place]}
    return Scores(
        accuracy=round(float(right.sum() / table.sum()), 4),
        macro_f1=round(float(np.mean(list(f1.values()))), 4),
        f1={name: round(value, 4) for name, value in f1.items()},
        confusion=tuple(tuple(int(value) for value in row) for row in table),
    )


def gain(truth: NDArray[np.integer], one: NDArray[np.integer], other: NDArray[np.integer]) -> Gain:
    """All [s, t]."""
    by_scene = ((one == truth).astype(np.float64) - (other == truth)).mean(axis=1)
    drawn = np.random.default_rng(0).integers(0, len(by_scene), (_DRAWS, len(by_scene)))
    low, high = np.quantile(by_scene[drawn].mean(axis=1), (0.025, 0.975))
    return Gain(
        accuracy=round(float(by_scene.mean()), 4),
        low=round(float(low), 4),
        high=round(float(high), 4),
        macro_f1=round(scores(truth, one).macro_f1 - scores(truth, other).macro_f1, 4),
    )

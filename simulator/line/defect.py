"""Defects: what can be wrong with a surface, of a size that was asked for."""

import math
from typing import Final, Literal, TypeAlias, get_args

import msgspec
import numpy as np

Kind: TypeAlias = Literal["scratch", "pit", "dent", "stain"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

#: Sizes drawn where none is asked for, millimetres: a scratch's width, the others' diameter.
SIZES: Final[dict[Kind, tuple[float, float]]] = {
    "scratch": (0.1, 0.24),
    "pit": (0.2, 0.5),
    "dent": (0.7, 1.6),
    "stain": (0.5, 1.6),
}
SMALLEST, LARGEST = 0.05, 2.0
"""what can be asked for"""


class Defect(msgspec.Struct, frozen=True):
    """One defect, in millimetres from the plate's middle.

    `size` is what a tolerance is about: the width of a scratch, the diameter of the others. `length` is its longest
    extent. `strength` is signed: above 0 the defect is lighter than its surroundings. `bend` curves a scratch (its
    sagitta as a share of its length), `wobble` gives a stain its outline.
    """

    kind: Kind
    x: float
    y: float
    size: float
    length: float
    angle: float
    strength: float
    bend: float
    wobble: tuple[float, float, float]

    @property
    def reach(self) -> float:
        """Nothing of it lies farther than this from (x, y)."""
        return self.length / 2 + self.size / 2 if self.kind == "scratch" else self.size / 2

    def spine(self) -> list[tuple[float, float]]:
        """The middle line of a scratch; one point of the others."""
        if self.kind != "scratch":
            return [(self.x, self.y)]
        chord = self.length - self.size  # round ends add half the width on either side
        points = []
        for t in np.linspace(-0.5, 0.5, 13):
            along, aside = chord * t, self.bend * chord * (1 - 4 * t * t)
            points.append(
                (
                    self.x + float(along * math.cos(self.angle) - aside * math.sin(self.angle)),
                    self.y + float(along * math.sin(self.angle) + aside * math.cos(self.angle)),
                )
            )
        return points


def random_defect(rng: np.random.Generator, half: tuple[float, float], sizes: tuple[float, float] | None) -> Defect:
    """Somewhere within `half` (width and height, millimetres) of the middle; sizes of `SIZES` where none are given."""
    kind = KINDS[rng.integers(len(KINDS))]
    low, high = sizes or SIZES[kind]
    size = float(np.exp(rng.uniform(math.log(low), math.log(high))))
    length = max(size, float(np.exp(rng.uniform(math.log(0.8), math.log(4.0))))) if kind == "scratch" else size
    strength = {
        "scratch": rng.uniform(0.2, 0.42) * rng.choice([-1.0, 1.0]),
        "pit": -rng.uniform(0.45, 0.8),
        "dent": rng.uniform(0.22, 0.5),
        "stain": -rng.uniform(0.22, 0.5),
    }[kind]
    return Defect(
        kind=kind,
        x=float(rng.uniform(-half[0], half[0])),
        y=float(rng.uniform(-half[1], half[1])),
        size=size,
        length=length,
        angle=float(rng.uniform(0, math.pi)),
        strength=float(strength),
        bend=float(rng.normal(0, 0.05)),
        wobble=(float(rng.uniform(0, 6.28)), float(rng.uniform(0, 6.28)), float(rng.uniform(0.05, 0.16))),
    )

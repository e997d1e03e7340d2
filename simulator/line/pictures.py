"""Single part pictures, as a triggered camera takes them: for training and for judging."""

from collections.abc import Iterator

import msgspec
import numpy as np
import numpy.typing as npt

from simulator.arrays import Picture
from simulator.line.belt import PERIOD, belt_tile, lay
from simulator.line.chance import chance
from simulator.line.design import SIDE, Design, random_design
from simulator.line.exposure import LampDrift, expose, lamp_drift, noise
from simulator.line.made import make_part
from simulator.line.part import LineConfig
from simulator.line.truth import DefectTruth, PartTruth, changed, extent, runs

#: Seconds of drift that the pictures of one line are spread over.
_SHIFT = 3600.0
_WHOLE = (0, 0, SIDE, SIDE)


class PartPicture(msgspec.Struct, frozen=True):
    """`pixels` uint8 [SIDE, SIDE, 3] RGB; `mask` bool [SIDE, SIDE], the pixels of all defects."""

    pixels: Picture
    mask: npt.NDArray[np.bool_]
    truth: PartTruth


def part_pictures(
    seed: int, count: int, config: LineConfig | None = None, *, per_line: int = 8
) -> Iterator[PartPicture]:
    """`count` parts from one line after the other, `per_line` of each: lines differ in product, belt and light.

    Their seeds are `seed * 100_000 + k`; so use far-apart seeds for learning and judging. Raises LineError.
    """
    config = config or LineConfig()
    config.check()
    for first in range(0, count, per_line):
        line = PartCamera(seed * 100_000 + first // per_line, config)
        for number in range(min(per_line, count - first)):
            yield line.picture(number)


class PartCamera:
    """One line's camera, which sees one part at a time."""

    def __init__(self, seed: int, config: LineConfig) -> None:
        self.design: Design = random_design(chance(seed, "design"))
        self._seed, self._config = seed, config
        self._drift: LampDrift = lamp_drift(seed)
        self._belt = belt_tile(seed, self.design)

    def picture(self, number: int) -> PartPicture:
        """Part `number`; whether it is defective changes no pixel outside of its defects."""
        made = make_part(self._seed, number, self.design, self._config)
        rng = chance(self._seed, "draw", number)
        left, top = (int(v) for v in rng.integers(0, PERIOD - SIDE, 2))
        belt = self._belt[top : top + SIDE, left : left + SIDE]
        lamps, grain = self._drift.at(float(rng.uniform(0, _SHIFT))), noise(self._seed, number, SIDE, SIDE)
        pixels = expose(lay(belt, made.layer), lamps, grain, _WHOLE)
        defects = []
        union = np.zeros((SIDE, SIDE), bool)
        for defect, layer in zip(made.part.defects, made.without, strict=True):
            mask = changed(pixels, expose(lay(belt, layer), lamps, grain, _WHOLE))
            box = extent(mask)
            if box is not None:
                inner = mask[box[1] : box[3], box[0] : box[2]]
                defects.append(DefectTruth(defect.kind, defect.size, defect.length, box, runs(inner)))
                union |= mask
        box = extent(made.layer.alpha > 0.5)
        assert box is not None, "a plate covers something"
        return PartPicture(pixels, union, PartTruth(number, not defects, box, True, tuple(defects)))

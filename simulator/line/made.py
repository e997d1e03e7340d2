"""Parts as the line makes them: drawn, rendered, and sure to show what is wrong with them."""

from typing import Final

import msgspec
import numpy as np

from simulator.line.defect import Kind
from simulator.line.design import Design
from simulator.line.exposure import Lamps, expose
from simulator.line.layer import Layer, Painter, nominal_area
from simulator.line.part import LineConfig, Part, drawn_defect, good_part, wanted_defects
from simulator.line.truth import changed

_TRIES: Final = 40
_LEVELS: Final = 12
_SEEN: Final[dict[Kind, float]] = {"scratch": 0.85, "pit": 0.85, "dent": 0.35, "stain": 0.7}
"""a defect that does not change this share of its own area by so many levels of 255 (a pit in black ink) is drawn
again elsewhere: nobody would ask for it to be found. Most of a dent's slope is faint"""
_PLAIN: Final = Lamps(gain=1.0, across=0.0, down=0.0, warmth=0.0, noise=0.0)


class MadePart(msgspec.Struct, frozen=True):
    """A part and its pictures: with all of its defects, and without each of them in turn."""

    part: Part
    layer: Layer
    without: tuple[Layer, ...]


def make_part(seed: int, number: int, design: Design, config: LineConfig) -> MadePart:
    """Part `number` of the line `seed`. The same part without defects is `config.defective = 0`."""
    part = good_part(seed, number, design)
    painter = Painter(part, design)
    wanted, attempt = wanted_defects(seed, number, config), 0
    bare = painter.layer(())
    while len(part.defects) < wanted and attempt < _TRIES:
        defect = drawn_defect(seed, number, attempt, design, config)
        attempt += 1
        if defect is None:
            continue
        seen = changed(_plainly(painter.layer((defect,))), _plainly(bare), _LEVELS).sum()
        if seen >= _SEEN[defect.kind] * nominal_area(defect.kind, defect.size, defect.length):
            part = msgspec.structs.replace(part, defects=(*part.defects, defect))
    whole = painter.layer(part.defects) if part.defects else bare
    if len(part.defects) == 1:
        return MadePart(part, whole, (bare,))
    return MadePart(
        part, whole, tuple(painter.layer([d for d in part.defects if d is not out]) for out in part.defects)
    )


def _plainly(layer: Layer) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    height, width = layer.alpha.shape
    return expose(layer.colour, _PLAIN, np.zeros_like(layer.alpha), (0, 0, width, height))

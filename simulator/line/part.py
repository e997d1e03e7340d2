"""One part on the belt: how it lies, what harmless things are on it, and what is wrong with it."""

import math
from typing import Final

import msgspec
import numpy as np

from simulator.line.chance import chance
from simulator.line.defect import LARGEST, SMALLEST, Defect, random_defect
from simulator.line.design import Design

#: Specks and fibres stay below this, millimetres: the tolerance.
TOLERATED: Final = 0.08
_EDGE: Final = 0.25
"""no defect begins closer to an edge, millimetres"""


class LineError(ValueError):
    """A line was asked for that cannot be rendered; the text says which value and what is allowed."""


class LineConfig(msgspec.Struct, frozen=True):
    """What may be asked of a line: the share of defective parts, their defects' sizes in millimetres (None: each
    kind's own), the belt's speed in millimetres a second, and whether defects keep off the print: a pit in a letter is
    an error of print for some and a defect for others, and may look like neither."""

    defective: float = 0.1
    sizes: tuple[float, float] | None = None
    speed: float = 30.0
    clear_of_print: bool = False

    def check(self) -> None:
        """Raises LineError."""
        if not 0 <= self.defective <= 1:
            raise LineError(f"defective {self.defective}: a share between 0 and 1")
        if self.sizes and not SMALLEST <= self.sizes[0] <= self.sizes[1] <= LARGEST:
            raise LineError(f"defects of {self.sizes[0]} to {self.sizes[1]} mm: from {SMALLEST} to {LARGEST} mm")
        if not 1 <= self.speed <= 400:
            raise LineError(f"speed {self.speed}: from 1 to 400 mm a second")


class Speck(msgspec.Struct, frozen=True):
    """Dust, or a fibre if `length` is above 0; millimetres. `strength` as a defect's."""

    x: float
    y: float
    size: float
    length: float
    angle: float
    bend: float
    strength: float


class Part(msgspec.Struct, frozen=True):
    """A part as it lies in its picture: turned by `angle`, moved by (dx, dy) millimetres.

    `tint` is its batch's reflectance against the design's, `print_shift` how far the print is off (millimetres),
    `print_strength` its ink (0..1). `grain` seeds the surface's texture. `glare` is the lamp's reflection: middle
    (millimetres), width, strength.
    """

    number: int
    angle: float
    dx: float
    dy: float
    tint: float
    print_shift: tuple[float, float]
    print_strength: float
    tool_marks: float
    grain: int
    glare: tuple[float, float, float, float]
    specks: tuple[Speck, ...]
    defects: tuple[Defect, ...] = ()

    @property
    def good(self) -> bool:
        """No defect."""
        return not self.defects


def good_part(seed: int, number: int, design: Design) -> Part:
    """Part `number` of the line `seed`, as it would be without any defect."""
    pose, light = chance(seed, "pose", number), chance(seed, "glare", number)
    return Part(
        number=number,
        angle=math.radians(float(np.clip(pose.normal(0, 2.5), -8, 8))),
        dx=float(pose.uniform(-0.3, 0.3)),
        dy=float(pose.uniform(-0.3, 0.3)),
        tint=float(pose.uniform(0.93, 1.07)),
        print_shift=(float(pose.normal(0, 0.08)), float(pose.normal(0, 0.08))),
        print_strength=float(pose.uniform(0.7, 0.97)),
        tool_marks=float(max(0.0, pose.normal(0.0, 0.05))),
        grain=int(pose.integers(1 << 31)),
        glare=(
            float(light.uniform(-4, 4)),
            float(light.uniform(-4, 4)),
            float(light.uniform(0.8, 2.5)),
            float(max(0.0, light.uniform(-0.1, 0.22))),
        ),
        specks=_specks(chance(seed, "dust", number), design),
    )


def wanted_defects(seed: int, number: int, config: LineConfig) -> int:
    """How many defects part `number` shall have; 0 for a good one."""
    rng = chance(seed, "defective", number)
    if rng.random() >= config.defective:
        return 0
    return 2 if rng.random() < 0.15 else 1


def drawn_defect(seed: int, number: int, attempt: int, design: Design, config: LineConfig) -> Defect | None:
    """The `attempt`-th defect drawn for a part; None if it would not lie wholly on the flat of the plate."""
    rng = chance(seed, "defect", number * 1000 + attempt)
    half = (design.width / 2 - _EDGE, design.height / 2 - _EDGE)
    defect = random_defect(rng, half, config.sizes)
    aside = defect.size / 2 + design.chamfer + _EDGE / 2
    for x, y in defect.spine():
        if abs(x) > design.width / 2 - aside or abs(y) > design.height / 2 - aside:
            return None
        corner = (abs(x) - design.width / 2 + design.corner, abs(y) - design.height / 2 + design.corner)
        if min(corner) > 0 and math.hypot(*corner) > design.corner - aside:
            return None
        if config.clear_of_print and any(
            abs(x - m.x) < m.half[0] + defect.size / 2 + _EDGE and abs(y - m.y) < m.half[1] + defect.size / 2 + _EDGE
            for m in design.marks
        ):
            return None
        if any(math.hypot(x - h.x, y - h.y) < h.radius + h.sink + defect.size / 2 + _EDGE / 2 for h in design.holes):
            return None
    return defect


def _specks(rng: np.random.Generator, design: Design) -> tuple[Speck, ...]:
    """Dust of any brightness below the tolerance, now and then a fibre."""
    specks = []
    for _ in range(int(rng.poisson(5.0))):
        specks.append(_speck(rng, design, float(rng.uniform(0.03, TOLERATED)), 0.0))
    for _ in range(int(rng.poisson(0.35))):
        specks.append(_speck(rng, design, float(rng.uniform(0.015, 0.03)), float(rng.uniform(0.5, 2.0))))
    return tuple(specks)


def _speck(rng: np.random.Generator, design: Design, size: float, length: float) -> Speck:
    return Speck(
        x=float(rng.uniform(-0.5, 0.5) * design.width),
        y=float(rng.uniform(-0.5, 0.5) * design.height),
        size=size,
        length=length,
        angle=float(rng.uniform(0, math.pi)),
        bend=float(rng.normal(0, 0.15)),
        strength=float(rng.uniform(0.2, 0.5) * rng.choice([-1.0, 1.0])),
    )

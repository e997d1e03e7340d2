"""What every part of a line is meant to be: a small plate with holes, chamfers and printed marks."""

import math
from typing import Final, Literal, TypeAlias

import msgspec
import numpy as np

#: The camera's scale. One pixel is 0.078 mm: what is thinner than that is seen only by its contrast.
PIXELS_PER_MM: Final = 12.8
#: A part's picture, pixels a side: 10 mm.
SIDE: Final = 128

Material: TypeAlias = Literal["brushed", "plastic"]
#: Reflectance of red, green, blue; 0..1.
Tone: TypeAlias = tuple[float, float, float]

_PLASTICS: Final[tuple[Tone, ...]] = (
    (0.20, 0.20, 0.21), (0.78, 0.78, 0.75), (0.20, 0.31, 0.52), (0.66, 0.33, 0.14), (0.30, 0.44, 0.33),
    (0.47, 0.48, 0.50),
)  # fmt: skip
_METALS: Final[tuple[Tone, ...]] = ((0.60, 0.60, 0.61), (0.52, 0.52, 0.54), (0.66, 0.60, 0.47), (0.62, 0.47, 0.38))
_BELTS: Final[tuple[Tone, ...]] = ((0.09, 0.10, 0.10), (0.13, 0.19, 0.16), (0.22, 0.23, 0.25), (0.11, 0.15, 0.24))


class Hole(msgspec.Struct, frozen=True):
    """A through hole; millimetres from the plate's middle. `sink` is the width of its countersink."""

    x: float
    y: float
    radius: float
    sink: float


class Mark(msgspec.Struct, frozen=True):
    """Print: `text`, straight `rules` (lines as thin as a wide scratch), `dots`, or a `grid` of cells.

    `size` is its height, `weight` the width of its strokes; millimetres. `across` turns it by a right angle.
    """

    kind: Literal["text", "rules", "dots", "grid"]
    x: float
    y: float
    size: float
    weight: float
    text: str
    across: bool

    @property
    def half(self) -> tuple[float, float]:
        """Half its extent along and across the plate's width, with a little room; millimetres."""
        long = {"text": 0.42 * self.size * len(self.text), "dots": 2.2 * self.weight, "grid": 0.6 * self.size}
        short = 0.6 * self.weight if self.kind == "dots" else 0.6 * self.size + self.weight / 2
        half = long.get(self.kind, self.size + self.weight), short
        return half[::-1] if self.across else half


class Design(msgspec.Struct, frozen=True):
    """A line's product, its belt, and the direction its light comes from. Millimetres, radians."""

    material: Material
    tone: Tone
    ink: Tone
    belt: Tone
    width: float
    height: float
    corner: float
    chamfer: float
    grain: float
    coarse: float
    light: float
    blur: float
    holes: tuple[Hole, ...]
    marks: tuple[Mark, ...]


def random_design(rng: np.random.Generator) -> Design:
    """A plausible plate of 6 to 8.2 mm."""
    material: Material = "brushed" if rng.random() < 0.6 else "plastic"
    tones = _METALS if material == "brushed" else _PLASTICS
    tone = _tinted(tones[rng.integers(len(tones))], rng)
    width, height = float(rng.uniform(6.6, 8.2)), float(rng.uniform(5.6, 8.2))
    corner = float(rng.choice([0.3, 0.7, 1.3]))
    chamfer = float(rng.uniform(0.12, 0.32))
    holes = _holes(rng, width, height)
    light_ink = sum(tone) < 1.0 or (material == "brushed" and rng.random() < 0.1)
    ink = _tinted((0.88, 0.88, 0.86) if light_ink else (0.08, 0.08, 0.11), rng)
    return Design(
        material=material,
        tone=tone,
        ink=ink,
        belt=_tinted(_BELTS[rng.integers(len(_BELTS))], rng),
        width=width,
        height=height,
        corner=corner,
        chamfer=chamfer,
        grain=float(rng.choice([0.0, 0.0, math.pi / 2, rng.uniform(0, math.pi)])),
        coarse=float(rng.uniform(0.6, 1.4)),
        light=float(rng.uniform(0, 2 * math.pi)),
        blur=float(rng.uniform(0.35, 0.6)),
        holes=holes,
        marks=_marks(rng, width, height, chamfer, holes),
    )


def _tinted(tone: Tone, rng: np.random.Generator) -> Tone:
    red, green, blue = np.clip(np.array(tone) * rng.uniform(0.9, 1.1) * rng.uniform(0.97, 1.03, 3), 0.03, 0.95)
    return float(red), float(green), float(blue)


def _holes(rng: np.random.Generator, width: float, height: float) -> tuple[Hole, ...]:
    """None, one in the middle, two in a row or four in the corners."""
    inset = float(rng.uniform(1.1, 1.5))
    x, y = width / 2 - inset, height / 2 - inset
    layouts: tuple[list[tuple[float, float]], ...] = (
        [], [(0.0, 0.0)], [(-x, 0.0), (x, 0.0)], [(-x, -y), (x, y)], [(-x, -y), (x, -y), (-x, y), (x, y)],
    )  # fmt: skip
    chosen = layouts[rng.integers(len(layouts))]
    radius = float(rng.uniform(0.3, 0.62)) * (1.7 if len(chosen) == 1 else 1.0)
    sink = float(rng.choice([0.0, rng.uniform(0.1, 0.25)]))
    return tuple(Hole(x, y, radius, sink) for x, y in chosen)


def _marks(
    rng: np.random.Generator, width: float, height: float, chamfer: float, holes: tuple[Hole, ...]
) -> tuple[Mark, ...]:
    """Up to three, clear of edges and holes; one that finds no room is left out."""
    marks: list[Mark] = []
    for _ in range(int(rng.integers(1, 4))):
        kind: Literal["text", "rules", "dots", "grid"] = ("text", "rules", "dots", "grid")[rng.integers(4)]
        size = float({"text": rng.uniform(0.7, 1.2), "grid": rng.uniform(1.0, 1.6)}.get(kind, rng.uniform(0.8, 1.6)))
        weight = float(rng.uniform(0.14, 0.26)) if kind != "dots" else float(rng.uniform(0.5, 0.7))
        text = "".join(rng.choice(list("ABCEFHKLMNPRTXZ0123456789-"), int(rng.integers(2, 5))))
        across = bool(kind == "rules" and rng.random() < 0.5)
        reach = Mark(kind, 0.0, 0.0, size, weight, text, across).half
        for _ in range(12):
            x = float(rng.uniform(-1, 1) * max(0.0, width / 2 - reach[0] - chamfer - 0.2))
            y = float(rng.uniform(-1, 1) * max(0.0, height / 2 - reach[1] - chamfer - 0.2))
            clear = all(math.hypot(h.x - x, h.y - y) > h.radius + h.sink + max(reach) for h in holes)
            if clear and all(math.hypot(m.x - x, m.y - y) > 1.2 * m.size + max(reach) for m in marks):
                marks.append(Mark(kind, x, y, size, weight, text, across))
                break
    return tuple(marks)

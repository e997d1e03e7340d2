"""A belt seen from above: parts pass in lanes, and each frame comes with its truth."""

from collections.abc import Iterator
from typing import Final

import msgspec
import numpy as np

from simulator.arrays import Picture
from simulator.line.belt import PERIOD, belt_tile, lay
from simulator.line.chance import chance
from simulator.line.design import PIXELS_PER_MM, SIDE, random_design
from simulator.line.exposure import Lamps, expose, lamp_drift, noise
from simulator.line.flaw import Canvas
from simulator.line.layer import Layer
from simulator.line.made import MadePart, make_part
from simulator.line.part import LineConfig, LineError
from simulator.line.surface import Plane
from simulator.line.truth import DefectTruth, LineGeometry, LineTruth, PartTruth, changed, extent, runs

#: Pixels from one part to the next, along and across the belt.
_PITCH: Final = SIDE + 14
SMALLEST, LARGEST = (160, 144), (1920, 1080)


class _Placed(msgspec.Struct, frozen=True):
    made: MadePart
    left: int
    top: int


class _Shot(msgspec.Struct, frozen=True):
    """One exposure: the picture, the belt in it, its light and noise."""

    picture: Picture
    belt: Canvas
    lamps: Lamps
    grain: Plane


class LineScene:
    """A production line under a fixed camera. Equal arguments give equal bytes and equal truth.

    Iterate it for (picture uint8 [H, W, 3] RGB, LineTruth), endlessly; or step with `frame`. The belt moves a whole
    number of pixels a frame, parts do not move on it: so a part's pixels change only with the light and the noise.
    """

    def __init__(
        self, seed: int, width: int = 1280, height: int = 720, fps: float = 15.0, config: LineConfig | None = None
    ) -> None:
        """Raises LineError for a seed, size, rate or configuration outside of what can be rendered."""
        self.config = config or LineConfig()
        self.config.check()
        _check(seed, width, height, fps)
        self.seed, self.width, self.height, self.fps = seed, width, height, fps
        self.design = random_design(chance(seed, "design"))
        self._step = max(1, round(self.config.speed * PIXELS_PER_MM / fps))
        self._lanes = max(1, (height - 8) // _PITCH)
        self._tile = belt_tile(seed, self.design)
        self._drift = lamp_drift(seed)
        self._made: dict[int, MadePart] = {}
        self._frame = 0
        self.geometry = LineGeometry(
            seed=seed,
            width=width,
            height=height,
            fps=fps,
            pixels_per_mm=PIXELS_PER_MM,
            pixels_per_frame=self._step,
            lanes=self._lanes,
            material=self.design.material,
            part_width_mm=round(self.design.width, 4),
            part_height_mm=round(self.design.height, 4),
        )

    def __iter__(self) -> Iterator[tuple[Picture, LineTruth]]:
        while True:
            yield self.frame()

    def frame(self) -> tuple[Picture, LineTruth]:
        """The next picture and what is true of it; time advances by 1/fps."""
        number, time_s = self._frame, self._frame / self.fps
        self._frame += 1
        light = self._belt(number)
        bare = light.copy()
        placed = self._placed(number)
        for one in placed:
            place = self._place(one)
            light[place] = self._laid(bare, one, one.made.layer)
        lamps, grain = self._drift.at(time_s), noise(self.seed, number, self.height, self.width)
        picture = expose(light, lamps, grain, (0, 0, self.width, self.height))
        shot = _Shot(picture, bare, lamps, grain)
        parts = tuple(truth for one in placed if (truth := self._truth(one, shot)) is not None)
        return picture, LineTruth(number, round(time_s, 6), round(lamps.gain, 5), parts)

    def _belt(self, number: int) -> Canvas:
        rows = np.arange(self.height) % PERIOD
        columns = (np.arange(self.width) - number * self._step) % PERIOD
        return np.ascontiguousarray(self._tile[rows[:, None], columns[None]])

    def _placed(self, number: int) -> list[_Placed]:
        """Parts of which something is in the picture, by number. Column 0 leads, the others follow it from the left."""
        head = self.width - _PITCH + number * self._step
        first = max(0, -(-(head - self.width) // _PITCH))
        last = (head + SIDE - 1) // _PITCH
        gap = (self.height - self._lanes * _PITCH) // 2
        found = []
        for part in range(first * self._lanes, (last + 1) * self._lanes):
            column, lane = divmod(part, self._lanes)
            left, top = head - column * _PITCH, gap + lane * _PITCH + (_PITCH - SIDE) // 2
            if -SIDE < left < self.width:
                if part not in self._made:
                    self._made[part] = make_part(self.seed, part, self.design, self.config)
                found.append(_Placed(self._made[part], left, top))
        seen = {one.made.part.number for one in found}
        self._made = {key: made for key, made in self._made.items() if key in seen}
        return found

    def _place(self, one: _Placed) -> tuple[slice, slice]:
        left, right = max(0, one.left), min(self.width, one.left + SIDE)
        return slice(one.top, one.top + SIDE), slice(left, right)

    def _laid(self, belt: Canvas, one: _Placed, layer: Layer) -> Canvas:
        """What the part's place in the picture reflects with this layer on the belt."""
        rows, columns = self._place(one)
        own = slice(columns.start - one.left, columns.stop - one.left)
        cut = Layer(layer.colour[:, own], layer.alpha[:, own], layer.shadow[:, own])
        return lay(belt[rows, columns], cut)

    def _truth(self, one: _Placed, shot: _Shot) -> PartTruth | None:
        rows, columns = self._place(one)
        solid = one.made.layer.alpha > 0.5
        shown = solid[:, columns.start - one.left : columns.stop - one.left]
        box = extent(shown)
        if box is None:
            return None
        defects = []
        for defect, layer in zip(one.made.part.defects, one.made.without, strict=True):
            place = (columns.start, rows.start, self.width, self.height)
            without = expose(self._laid(shot.belt, one, layer), shot.lamps, shot.grain[rows, columns], place)
            mask = changed(shot.picture[rows, columns], without)
            around = extent(mask)
            if around is not None:
                inner = mask[around[1] : around[3], around[0] : around[2]]
                moved = _moved(around, columns.start, rows.start)
                defects.append(DefectTruth(defect.kind, defect.size, defect.length, moved, runs(inner)))
        part = one.made.part
        inside = bool(shown.sum() == solid.sum())
        return PartTruth(part.number, part.good, _moved(box, columns.start, rows.start), inside, tuple(defects))


def _moved(box: tuple[int, int, int, int], right: int, down: int) -> tuple[int, int, int, int]:
    return box[0] + right, box[1] + down, box[2] + right, box[3] + down


def _check(seed: int, width: int, height: int, fps: float) -> None:
    if not 0 <= seed < 1 << 63:
        raise LineError(f"seed {seed}: must lie between 0 and 2^63 - 1")
    if width % 2 or height % 2:
        raise LineError(f"size {width}x{height}: width and height must be even")
    if not (SMALLEST[0] <= width <= LARGEST[0] and SMALLEST[1] <= height <= LARGEST[1]):
        raise LineError(
            f"size {width}x{height}: from {SMALLEST[0]}x{SMALLEST[1]} to {LARGEST[0]}x{LARGEST[1]} can be rendered"
        )
    if not 1.0 <= fps <= 60.0:
        raise LineError(f"{fps} frames a second: from 1 to 60 can be rendered")

"""A scene: seed, variant, size and rate in; pictures with their truth out."""

import math
from collections.abc import Iterator
from typing import get_args

import numpy as np

from simulator.actors import LABELS
from simulator.arrays import Picture, stream
from simulator.camera import Mount
from simulator.junction import Phase, Road, random_camera, random_junction
from simulator.look import VARIANTS, Variant, random_look
from simulator.placement import Placed
from simulator.renderer import Renderer, Visibility
from simulator.stage import Stage
from simulator.survey import survey
from simulator.traffic import STEP, Traffic, TrafficConfig
from simulator.truth import Box, EventTruth, Geometry, ObjectTruth, Truth
from simulator.witness import Witness

#: Physics before the first frame, so that a clip starts with traffic on the road (seconds).
_WARM_UP = 26.0
SMALLEST, LARGEST = (160, 90), (1920, 1080)

__all__ = ["LABELS", "VARIANTS", "Scene", "SceneError"]


class SceneError(ValueError):
    """A scene was asked for that cannot be rendered; the text says which value and what is allowed."""


class Scene:
    """A junction seen by a fixed camera. Equal arguments give equal bytes and equal truth.

    Iterate it for (picture uint8 [H, W, 3] RGB, Truth), endlessly; or step with `skip` and `frame`.
    Traffic depends on the seed and configuration alone, not on variant, size or rate.
    """

    def __init__(
        self,
        seed: int,
        variant: Variant = "day",
        width: int = 1280,
        height: int = 720,
        fps: float = 15.0,
        traffic: TrafficConfig | None = None,
        mount: Mount = Mount(),
    ) -> None:
        """Raises SceneError for an unknown variant, a size or a rate outside of what can be rendered."""
        _check(seed, variant, width, height, fps)
        self.seed, self.variant, self.width, self.height, self.fps = seed, variant, width, height, fps
        self.junction = random_junction(stream(seed, "layout"))
        self.camera = random_camera(stream(seed, "camera"), self.junction, width, height, mount)
        self.look = random_look(seed, variant)
        self.events: list[EventTruth] = []
        self._traffic = Traffic(self.junction, traffic or TrafficConfig(), stream(seed, "traffic"))
        self._stage = Stage(seed, self.junction, self.camera, self.look)
        self._renderer = Renderer(seed, self.junction, self.camera, self.look)
        self.geometry: Geometry = survey(seed, variant, fps, self.junction, self.camera, self._renderer.post.region())
        self._witness = Witness(self.junction, self.camera)
        self._frame = 0
        self._steps = 0
        self._warm_up()
        self._start = self._traffic.time

    def _warm_up(self) -> None:
        """Fill the road; towards the end also note who crosses lines, whose boxes may follow in the first frames."""
        traffic = self._traffic
        while traffic.time < _WARM_UP:
            traffic.step()
            before = traffic.time - _WARM_UP
            if before > -3.0:
                phase, _ = self.junction.timing.phase("main", traffic.time)
                self._witness.watch(math.floor(before * self.fps), min(before, 0.0), traffic.vehicles, 1.0, [], phase)

    def __iter__(self) -> Iterator[tuple[Picture, Truth]]:
        while True:
            yield self.frame()

    def skip(self, seconds: float) -> None:
        """Go on without painting; events in between are not witnessed."""
        self._frame += round(seconds * self.fps)
        self._witness.forget()

    def frame(self) -> tuple[Picture, Truth]:
        """The next frame: picture uint8 [H, W, 3] RGB and its truth."""
        things, phase, blend = self._things()
        picture, visibility = self._renderer.render(things, phase, self._frame, self._frame / self.fps)
        return picture, self._truth(things, visibility, blend)

    def observe(self) -> Truth:
        """The next frame's truth without its picture; costs a small part of `frame`."""
        things, _, blend = self._things()
        return self._truth(things, self._renderer.visibility(things), blend)

    def _things(self) -> tuple[list[Placed], Phase, float]:
        time_s = self._frame / self.fps
        blend = self._advance(time_s)
        things = self._stage.place(self._traffic.vehicles, self._traffic.pedestrians, blend, time_s)
        return things, self._phase("main"), blend

    def _phase(self, road: Road) -> Phase:
        return self.junction.timing.phase(road, self._start + self._frame / self.fps)[0]

    def _truth(self, things: list[Placed], visibility: Visibility, blend: float) -> Truth:
        time_s = self._frame / self.fps
        main = self._phase("main")
        objects = tuple(
            seen
            for i, thing in enumerate(things)
            if (seen := _object(thing, i, visibility, self.width, self.height)) is not None
        )
        events = self._witness.watch(self._frame, time_s, self._traffic.vehicles, blend, things, main)
        self.events.extend(events)
        truth = Truth(
            frame=self._frame,
            time_s=time_s,
            objects=objects,
            phases={"main": main, "cross": self._phase("cross")},
            events=tuple(events),
        )
        self._frame += 1
        return truth

    def _advance(self, time_s: float) -> float:
        """Step the physics until it brackets the time; returns the place between the last two steps (0..1)."""
        while self._steps * STEP < time_s - 1e-9:
            self._traffic.step()
            self._steps += 1
        if self._steps == 0:
            return 1.0
        return 1.0 - (self._steps * STEP - time_s) / STEP


def _object(thing: Placed, index: int, visibility: Visibility, width: int, height: int) -> ObjectTruth | None:
    x1, y1, x2, y2 = thing.box
    box: Box = (max(0.0, x1), max(0.0, y1), min(float(width), x2), min(float(height), y2))
    if box[2] - box[0] < 0.5 or box[3] - box[1] < 0.5:
        return None
    covered, seen = visibility.covered[index], int(visibility.seen[index])
    shown = min(1.0, seen / covered) if covered else 0.0
    inside = (box[2] - box[0]) * (box[3] - box[1]) / max((x2 - x1) * (y2 - y1), 1e-6)
    visible_box: Box | None = None
    if shown > 0.985:
        visible_box = box
    elif seen:
        s = visibility.scale
        a, b = int(box[0] * s), int(box[1] * s)
        part = visibility.ids[b : int(box[3] * s) + 2, a : int(box[2] * s) + 2] == index + 1
        columns, rows = np.nonzero(part.any(axis=0))[0], np.nonzero(part.any(axis=1))[0]
        if len(columns) and len(rows):
            visible_box = (
                max(box[0], (a + int(columns[0])) / s),
                max(box[1], (b + int(rows[0])) / s),
                min(box[2], (a + int(columns[-1]) + 1) / s),
                min(box[3], (b + int(rows[-1]) + 1) / s),
            )
    return ObjectTruth(
        track=thing.track,
        label=thing.label,  # type: ignore[arg-type]
        box=_rounded(box),
        full_box=_rounded(thing.box),
        visible_box=None if visible_box is None else _rounded(visible_box),
        visible=round(shown * min(1.0, inside), 4),
        occluded=round(1.0 - shown, 4),
        speed=round(thing.speed, 3),
        ground=(round(thing.x, 3), round(thing.y, 3)),
        heading=round(thing.heading, 4),
        braking="brake" in thing.lamps_on,
    )


def _rounded(box: Box) -> Box:
    return round(box[0], 2), round(box[1], 2), round(box[2], 2), round(box[3], 2)


def _check(seed: int, variant: str, width: int, height: int, fps: float) -> None:
    if not 0 <= seed < 1 << 63:
        raise SceneError(f"seed {seed}: must lie between 0 and 2^63 - 1")
    if variant not in get_args(Variant):
        raise SceneError(f"unknown variant {variant!r}: choose one of {', '.join(VARIANTS)}")
    if width % 2 or height % 2:
        raise SceneError(f"size {width}x{height}: width and height must be even")
    if not (SMALLEST[0] <= width <= LARGEST[0] and SMALLEST[1] <= height <= LARGEST[1]):
        raise SceneError(
            f"size {width}x{height}: from {SMALLEST[0]}x{SMALLEST[1]} to {LARGEST[0]}x{LARGEST[1]} can be rendered"
        )
    if not 1.2 <= width / height <= 2.4:
        raise SceneError(f"size {width}x{height}: width must be 1.2 to 2.4 times the height")
    if not 1.0 <= fps <= 60.0:
        raise SceneError(f"{fps} frames a second: from 1 to 60 can be rendered")

"""The ground plan: lanes, paths, crossings, stop lines and signal timing, in metres and seconds."""

import math
from typing import Literal, TypeAlias

import msgspec
import numpy as np

from simulator.camera import Camera, Mount
from simulator.path import Path

Phase: TypeAlias = Literal["red", "amber", "green"]
Road: TypeAlias = Literal["main", "cross"]


class Timing(msgspec.Struct, frozen=True):
    """Fixed-time signal plan: main green, amber, all red, cross green, amber, all red; seconds."""

    main_green: float
    cross_green: float
    amber: float
    clearance: float
    offset: float

    @property
    def cycle(self) -> float:
        """Length of one full cycle."""
        return self.main_green + self.cross_green + 2 * (self.amber + self.clearance)

    def phase(self, road: Road, time_s: float) -> tuple[Phase, float]:
        """(phase, seconds since that phase began) of one road's signals."""
        t = (time_s + self.offset) % self.cycle
        green = self.main_green
        if road == "cross":
            t = (t - self.main_green - self.amber - self.clearance) % self.cycle
            green = self.cross_green
        if t < green:
            return "green", t
        if t < green + self.amber:
            return "amber", t - green
        return "red", t - green - self.amber


class Junction(msgspec.Struct, frozen=True):
    """The layout. The main road runs along y with our approach at x > 0 (traffic keeps right)."""

    lane_width: float
    main_lanes: int
    cross_lanes: int
    stop_y: float
    cross_y: float
    pavement: float
    timing: Timing
    speed_limit: float
    demand: float

    @property
    def half_main(self) -> float:
        """Half the main carriageway's width."""
        return self.main_lanes * self.lane_width

    @property
    def half_cross(self) -> float:
        """Half the cross road's width."""
        return self.cross_lanes * self.lane_width

    @property
    def near_crossing(self) -> tuple[float, float]:
        """y range of the pedestrian crossing between our stop line and the junction."""
        return self.stop_y + 1.0, self.stop_y + 4.0

    @property
    def far_crossing(self) -> tuple[float, float]:
        """y range of the pedestrian crossing on the far side."""
        far = 2 * self.cross_y - self.stop_y
        return far - 4.0, far - 1.0

    @property
    def side_crossing(self) -> tuple[float, float]:
        """x range of the right-hand crossing over the cross road; the left-hand one mirrors it."""
        return self.half_main + 2.0, self.half_main + 4.6

    def side_stop(self) -> float:
        """|x| of the cross road's stop lines."""
        return self.half_main + 5.6

    def paths(self) -> dict[str, Path]:
        """All ways vehicles drive, by name: <from><to><lane>; n = away from the camera, s = towards it."""
        w, n, m, yc = self.lane_width, self.main_lanes, self.cross_lanes, self.cross_y
        ways: dict[str, Path] = {}
        for i in range(n):
            x = (i + 0.5) * w
            ways[f"nn{i}"] = Path([(x, -34.0), (x, 190.0)], f"n{i}", f"N{i}", middle=(x, yc))
            ways[f"ss{i}"] = Path([(-x, 190.0), (-x, -30.0)], f"s{i}", f"S{i}", middle=(-x, yc))
        for j in range(m):
            y = (j + 0.5) * w
            ways[f"ee{j}"] = Path([(-85.0, yc - y), (85.0, yc - y)], f"e{j}", f"E{j}", middle=(0.0, yc - y))
            ways[f"ww{j}"] = Path([(85.0, yc + y), (-85.0, yc + y)], f"w{j}", f"W{j}", middle=(0.0, yc + y))
        x, y = (n - 0.5) * w, (m - 0.5) * w
        a, b = n - 1, m - 1
        r = 0.5 * w + 4.5
        ways["ne"] = Path([(x, -34.0), (x, yc - y), (85.0, yc - y)], f"n{a}", f"E{b}", r)
        ways["sw"] = Path([(-x, 190.0), (-x, yc + y), (-85.0, yc + y)], f"s{a}", f"W{b}", r)
        ways["es"] = Path([(-85.0, yc - y), (-x, yc - y), (-x, -30.0)], f"e{b}", f"S{a}", r)
        ways["wn"] = Path([(85.0, yc + y), (x, yc + y), (x, 190.0)], f"w{b}", f"N{a}", r)
        return ways


def random_junction(rng: np.random.Generator) -> Junction:
    """A plausible urban junction."""
    lane = float(rng.uniform(3.2, 3.6))
    cross_lanes = int(rng.choice([1, 1, 2]))
    stop = float(rng.uniform(21.0, 25.0))
    return Junction(
        lane_width=lane,
        main_lanes=int(rng.choice([1, 2, 2])),
        cross_lanes=cross_lanes,
        stop_y=stop,
        cross_y=stop + 6.5 + cross_lanes * lane,
        pavement=float(rng.uniform(2.6, 4.0)),
        timing=Timing(
            main_green=float(rng.uniform(10.0, 13.0)),
            cross_green=float(rng.uniform(6.5, 8.5)),
            amber=3.0,
            clearance=2.0,
            offset=float(rng.uniform(0.0, 30.0)),
        ),
        speed_limit=float(rng.uniform(10.5, 14.0)),
        demand=float(rng.uniform(0.8, 1.3)),
    )


def random_camera(
    rng: np.random.Generator, junction: Junction, width: int, height: int, mount: Mount = Mount()
) -> Camera:
    """A pole camera that has the stop line, the signal head and the junction in its picture.

    Raises RuntimeError for a mount from which they cannot be seen.
    """
    for _ in range(200):
        x = float(rng.uniform(-3.0, junction.half_main + 5.0))
        aim_x = float(rng.uniform(0.0, 0.7 * junction.half_main))
        camera = Camera(
            x=x,
            height=float(rng.uniform(*mount.height)),
            yaw=math.atan2(aim_x - x, junction.stop_y + 6.0),
            pitch=math.radians(float(rng.uniform(*mount.pitch))),
            roll=math.radians(float(rng.normal(0.0, 0.5))),
            field_of_view=math.radians(float(rng.uniform(*mount.field_of_view))),
            picture_width=width,
            picture_height=height,
        )
        must_see = np.array(
            [
                [0.0, junction.stop_y - 3.0, 0.0],
                [junction.half_main + 0.5, junction.stop_y - 3.0, 0.0],
                [-junction.half_main - 0.5, junction.stop_y - 3.0, 0.0],
                [junction.half_main + 1.2, junction.stop_y + 0.4, 4.8],
                [junction.half_main + 1.2, junction.stop_y + 0.4, 2.0],
            ]
        )
        pixels, _ = camera.project(must_see)
        margin = np.array([width, height]) * 0.03
        if (pixels > margin).all() and (pixels < np.array([width, height]) - margin).all():
            return camera
    raise RuntimeError("no camera pose shows the whole approach")  # unreachable for the usual mount

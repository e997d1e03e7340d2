"""The moving parties: vehicles and pedestrians, as the physics sees them."""

import math
from typing import Literal, TypeAlias

import msgspec

from simulator.path import Path

Label: TypeAlias = Literal["car", "van", "bus", "two_wheeler", "pedestrian"]

#: Class index = position in this tuple, in truth, data sets and models alike.
LABELS: tuple[Label, ...] = ("car", "van", "bus", "two_wheeler", "pedestrian")


class Vehicle(msgspec.Struct, eq=False):
    """A vehicle on a path. `s` is the distance of its front bumper along the path; metres, seconds."""

    track: int
    label: Label
    path: Path
    way: str
    length: float
    width: float
    s: float
    v: float
    desired: float
    accel: float
    offset: float
    style: int
    sneaks: bool
    stop_s: float
    road: Literal["main", "cross"]
    yields: tuple[tuple[float, str], ...]
    decided: int = -1
    runs: bool = False
    braking: bool = False
    previous_s: float = 0.0
    previous_v: float = 0.0
    roll: float = 0.0

    def pose(self, blend: float) -> tuple[float, float, float]:
        """(x, y, heading) of the middle of its footprint, `blend` of the way from the last step to this one."""
        s = self.previous_s + blend * (self.s - self.previous_s)
        half = self.length / 2
        if not self.path.turns:
            return self.path.at(s - half, self.offset)
        # A long body cuts the corner: its middle lies between its axles, not on the path.
        ax, ay, _ = self.path.at(s - 0.15 * self.length, self.offset)
        bx, by, _ = self.path.at(s - 0.85 * self.length, self.offset)
        return (ax + bx) / 2, (ay + by) / 2, math.atan2(ay - by, ax - bx)

    def speed(self, blend: float) -> float:
        """Speed between the last step and this one, m/s."""
        return self.previous_v + blend * (self.v - self.previous_v)


class Pedestrian(msgspec.Struct, eq=False):
    """A pedestrian on a path; `gates` are (start, end, crossing) stretches that need a walk signal."""

    track: int
    path: Path
    s: float
    pace: float
    offset: float
    style: int
    stature: float
    gates: tuple[tuple[float, float, str], ...]
    moving: bool = True
    previous_s: float = 0.0
    stride: float = 0.0

    def pose(self, blend: float) -> tuple[float, float, float]:
        """(x, y, heading) of the feet's middle."""
        return self.path.at(self.previous_s + blend * (self.s - self.previous_s), self.offset)

    def on(self, crossing: str) -> bool:
        """Whether they are on the carriageway of that crossing."""
        return any(a < self.s < b for a, b, name in self.gates if name == crossing)

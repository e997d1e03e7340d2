"""What a junction is doing, from the simulator's truth: exact, and of each frame by itself."""

import math
from typing import Final, Literal, TypeAlias

from simulator.stage import PARKED_TRACKS
from simulator.truth import ObjectTruth, Truth

Activity: TypeAlias = Literal["empty", "standing", "flowing", "crossing"]

#: Class index = position in this tuple.
ACTIVITIES: Final[tuple[Activity, ...]] = ("empty", "standing", "flowing", "crossing")

MOVING: Final = 1.0
"""metres a second, from here on"""
_LEAST_VISIBLE: Final = 0.3
_LEAST_HEIGHT: Final = 1 / 16
"""of the picture's: a car as far as the junction's middle"""


def watched(truth: Truth, height: int) -> tuple[ObjectTruth, ...]:
    """The vehicles that count: in traffic, not parked; near enough and visible enough to be seen in a small picture."""
    return tuple(
        seen
        for seen in truth.objects
        if seen.label != "pedestrian"
        and seen.track < PARKED_TRACKS
        and seen.visible >= _LEAST_VISIBLE
        and seen.full_box[3] - seen.full_box[1] >= _LEAST_HEIGHT * height
    )


def across(vehicle: ObjectTruth) -> bool:
    """Whether it points along the cross road (x) rather than along the camera's own (y)."""
    return abs(math.cos(vehicle.heading)) > abs(math.sin(vehicle.heading))


def activity(truth: Truth, height: int) -> Activity:
    """`empty`: no vehicle. `standing`: some, and none moves. Else what most of the moving ones do: `flowing` along the
    camera's road, or `crossing` it, or turning off. `height` is that of the picture, pixels."""
    vehicles = watched(truth, height)
    if not vehicles:
        return "empty"
    moving = [vehicle for vehicle in vehicles if vehicle.speed >= MOVING]
    if not moving:
        return "standing"
    return "crossing" if 2 * sum(across(vehicle) for vehicle in moving) > len(moving) else "flowing"

"""What hands, head and back do at each activity; how one goes over into another is the shopper's affair."""

import math
from typing import Final, Literal, TypeAlias, get_args

import msgspec

from simulator.shop.skeleton import Vector

Activity: TypeAlias = Literal["walk", "browse", "try_on", "queue", "check_out"]
ACTIVITIES: Final[tuple[Activity, ...]] = get_args(Activity)


class Gesture(msgspec.Struct, frozen=True):
    """Where to: `hands` right and left wrist (statures, own frame), `swing` of each arm, lean and gaze (radians)."""

    hands: tuple[Vector, Vector]
    swing: tuple[float, float] = (1.0, 1.0)
    lean: float = 0.02
    gaze: tuple[float, float] = (0.0, 0.12)


class Habit(msgspec.Struct, frozen=True):
    """How this person does things: numbers in 0..1 drawn once, and `tempo` of the hands (radians a second)."""

    waiting: float
    reaching: float
    holding: float
    tempo: float
    carries: bool
    """something over the left forearm, or in the hand, between rack and counter"""


_HANG: Final[tuple[Vector, Vector]] = ((0.02, -0.155, 0.485), (0.02, 0.155, 0.485))
_ARM: Final[Vector] = (0.13, 0.10, 0.63)


def gesture(activity: Activity, habit: Habit, clock: float, carrying: bool) -> Gesture:
    """The gesture after `clock` seconds of an activity."""
    beat = clock * habit.tempo
    left = _ARM if carrying and habit.carries else _HANG[1]
    free = 0.15 if carrying and habit.carries else 1.0
    if activity == "walk":
        return Gesture((_HANG[0], left), (1.0, free), 0.03, (0.12 * math.sin(0.7 * beat), 0.1))
    if activity == "browse":
        # from hanger to hanger, now and then with both hands
        level = 0.58 + 0.16 * habit.reaching + 0.05 * math.sin(0.9 * beat)
        slide = 0.11 * math.sin(0.53 * beat)
        right = (0.27 + 0.03 * math.sin(1.7 * beat), slide - 0.07, level)
        both = math.sin(0.31 * beat + 6 * habit.holding) > -0.2
        other = (0.26, slide + 0.12, level - 0.02 + 0.03 * math.sin(1.3 * beat)) if both else left
        return Gesture((right, other), (0.0, 0.0), 0.1, (0.9 * slide, 0.42))
    if activity == "try_on":
        # held up before the body by its shoulders, now and then away from it
        away = 0.13 + 0.05 * math.sin(0.6 * beat) + 0.04 * habit.holding
        level = 0.75 + 0.03 * math.sin(0.4 * beat)
        return Gesture(((away, -0.1, level), (away, 0.1, level)), (0.0, 0.0), 0.0, (0.15 * math.sin(0.8 * beat), 0.4))
    if activity == "queue":
        if habit.waiting < 0.35:  # looks at a phone
            return Gesture(((0.17, -0.03, 0.67), left), (0.0, free), 0.02, (-0.05, 0.55))
        if habit.waiting < 0.6 and not carrying:  # arms crossed
            return Gesture(
                ((0.1, 0.07, 0.655), (0.115, -0.07, 0.645)), (0.0, 0.0), -0.03, (0.4 * math.sin(beat / 4), 0.05)
            )
        return Gesture((_HANG[0], left), (0.6, free), 0.02, (0.5 * math.sin(beat / 4), 0.06))
    # pays: the right hand goes forth and back, the left rests on the counter
    forth = 0.5 + 0.5 * math.sin(0.9 * beat)
    return Gesture(((0.16 + 0.12 * forth, -0.06, 0.62), (0.2, 0.12, 0.6)), (0.0, 0.0), 0.08, (0.1, 0.3))

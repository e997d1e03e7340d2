"""One customer: where he is, what he is at, and how his body follows."""

import math
from typing import Final, Literal, TypeAlias

import msgspec
import numpy as np

from simulator.arrays import Floats
from simulator.shop.figure import Build, Figure, figure, random_build
from simulator.shop.floor import Spot
from simulator.shop.gesture import Activity, Gesture, Habit, gesture
from simulator.shop.skeleton import Joints, Stance, joints

Aim: TypeAlias = Literal["browse", "try_on", "pay", "leave"]
_TURN: Final = 3.6
"""radians a second"""
_EASE: Final = 5.0
"""a second: how quickly hands and head follow"""


class Errand(msgspec.Struct, frozen=True):
    """Something he wants to do, and for how long (seconds)."""

    aim: Aim
    seconds: float = 0.0


class Shopper:
    """Moves by `advance`; `errands` are what he has still to do. Positions in metres, headings in radians."""

    def __init__(self, number: int, rng: np.random.Generator, door: Spot) -> None:
        self.id = number
        self.build: Build = random_build(rng)
        self.habit = Habit(
            waiting=float(rng.random()),
            reaching=float(rng.random()),
            holding=float(rng.random()),
            tempo=float(rng.uniform(1.4, 2.8)),
            carries=bool(rng.random() < 0.6),
        )
        self.errands = _errands(rng)
        self.speed = float(rng.uniform(0.75, 1.25)) * (0.55 + 0.45 * self.build.stature / 1.7)
        self.x, self.y, self.heading = door[0] + float(rng.uniform(-0.25, 0.25)), door[1], door[2]
        self.activity: Activity = "walk"
        self.clock = float(rng.uniform(0, 20))
        self.left = 0.0
        """seconds of the present activity"""
        self.spot: Spot | None = None
        self.carrying = False
        self.bag = False
        self.bought = False
        self.gone = False
        self.waited = 0.0
        self._way: Floats = np.zeros((0, 2))
        self._holds = 0.0
        self._pace = 0.0
        self._stride = float(rng.uniform(0, 2))
        self._beat = float(rng.uniform(0.2, 0.5))
        self._now = gesture("walk", self.habit, 0.0, False)

    def go(self, way: Floats, spot: Spot) -> None:
        """Sets out for a spot."""
        self._way, self.spot = way[1:], spot
        self.activity = "walk"

    @property
    def walking(self) -> bool:
        return len(self._way) > 0

    @property
    def ahead(self) -> tuple[float, float]:
        """Where he will be in half a second."""
        return self.x + 0.5 * math.cos(self.heading), self.y + 0.5 * math.sin(self.heading)

    def begin(self, activity: Activity, seconds: float) -> None:
        if activity != self.activity:
            self.activity, self.clock = activity, self.clock % 7
        self.left = seconds

    def advance(self, dt: float, held_up: bool) -> None:
        """`held_up`: somebody stands in his way."""
        self.clock += dt
        self.left -= dt
        self.waited = self.waited + dt if held_up else 0.0
        speed = 0.0
        if self.walking:
            speed = self._walk(dt, held_up)
        elif self.spot:
            self._turn(self.spot[2], dt)
        self._stride += speed * dt
        self._pace += (min(1.0, speed / 0.8) - self._pace) * min(1.0, 6 * dt)
        holds = 1.0 if self.activity == "try_on" else 0.0
        self._holds += float(np.clip(holds - self._holds, -1.6 * dt, 1.6 * dt))
        shown: Activity = self.activity if self._pace < 0.35 or self.activity == "try_on" else "walk"
        aim = gesture(shown, self.habit, self.clock, self.carrying)
        share = 1 - math.exp(-_EASE * dt)
        self._now = _between(self._now, aim, share)

    def _walk(self, dt: float, held_up: bool) -> float:
        speed = self.speed * (0.0 if held_up else 1.0)
        left = speed * dt
        while left > 0 and len(self._way):
            dx, dy = float(self._way[0][0]) - self.x, float(self._way[0][1]) - self.y
            away = math.hypot(dx, dy)
            if away > 0.02:
                self._turn(math.atan2(dy, dx), dt)
            if away > left:
                self.x, self.y = self.x + dx / away * left, self.y + dy / away * left
                break
            self.x, self.y = float(self._way[0][0]), float(self._way[0][1])
            self._way = self._way[1:]
            left -= away
        return speed

    def _turn(self, wanted: float, dt: float) -> None:
        off = math.remainder(wanted - self.heading, 2 * math.pi)
        self.heading += min(max(off, -_TURN * dt), _TURN * dt)

    def pose(self) -> tuple[Joints, Figure]:
        """Joints and pieces of this moment, in his own frame."""
        sway = math.sin(self._beat * self.clock)
        now = self._now
        stance = Stance(self._stride, self._pace, now.hands, now.swing, now.lean, now.gaze, sway)
        found = joints(self.build.stature, self.build.shoulders, stance)
        over = self.carrying and self.habit.carries and self._holds < 0.1 and self.activity != "check_out"
        return found, figure(self.build, found, self._holds, self.bag, over)


def _between(a: Gesture, b: Gesture, share: float) -> Gesture:
    def mixed(p: tuple[float, ...], q: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(u + (v - u) * share for u, v in zip(p, q, strict=True))

    return Gesture(
        (mixed(a.hands[0], b.hands[0]), mixed(a.hands[1], b.hands[1])),  # type: ignore[arg-type]
        mixed(a.swing, b.swing),  # type: ignore[arg-type]
        a.lean + (b.lean - a.lean) * share,
        mixed(a.gaze, b.gaze),  # type: ignore[arg-type]
    )


def _errands(rng: np.random.Generator) -> list[Errand]:
    """Browses one to four times, tries some of it on; whoever did is likelier to buy."""
    found: list[Errand] = []
    tried = False
    for _ in range(int(rng.integers(1, 5))):
        found.append(Errand("browse", float(rng.uniform(5, 16))))
        if rng.random() < 0.4:
            tried = True
            found.append(Errand("try_on", float(rng.uniform(5, 13))))
    if rng.random() < (0.6 if tried else 0.25):
        found.append(Errand("pay", float(rng.uniform(6, 14))))
    return [*found, Errand("leave")]

"""All customers of a shop: they come, go from spot to spot, stand in the queue, pay and leave."""

import math
from typing import Final

import numpy as np

from simulator.shop.floor import Floor, Spot
from simulator.shop.route import Ways
from simulator.shop.shopper import Errand, Shopper

_TICK: Final = 1 / 15
_VISIT: Final = 62.0
"""seconds that a visit takes about: so often somebody comes"""
_PATIENCE: Final = 1.2
"""seconds that somebody waits for a body in his way before he squeezes past"""


class Crowd:
    """Steps all shoppers; about `size` are in the shop at once. The same generator gives the same crowd."""

    def __init__(self, floor: Floor, size: int, rng: np.random.Generator) -> None:
        self.here: list[Shopper] = []
        self.came = 0
        self._floor, self._size, self._rng = floor, size, rng
        self._ways = Ways(floor)
        self._queue: list[Shopper] = []
        self._next = 0.0
        self._owed = 0.0

    def advance(self, seconds: float) -> None:
        """In ticks of a fifteenth of a second or less."""
        ticks = max(1, math.ceil(seconds / _TICK - 1e-6))
        for _ in range(ticks):
            self._tick(seconds / ticks)

    def _tick(self, dt: float) -> None:
        self._next -= dt
        if self._next <= 0 and len(self.here) < 2 * self._size:
            self.here.append(Shopper(self.came, self._rng, self._floor.door))
            self.came += 1
            self._next = float(self._rng.exponential(_VISIT / self._size)) + 0.5
        for one in self.here:
            one.advance(dt, self._held_up(one))
            if not one.walking:
                self._arrived(one)
        self.here = [one for one in self.here if not one.gone]

    def _held_up(self, one: Shopper) -> bool:
        """The younger one gives way, for a while."""
        if not one.walking or one.waited > _PATIENCE:
            return False
        x, y = one.ahead
        return any(
            other.id < one.id and (other.x - x) ** 2 + (other.y - y) ** 2 < 0.16 and other.walking
            for other in self.here
            if other is not one
        )

    def _arrived(self, one: Shopper) -> None:
        """He stands: at a spot, in the queue, or at the door."""
        if one in self._queue:
            self._stand_in_line(one)
            return
        if one.activity != "walk" and one.left > 0:
            return
        errand = one.errands[0]
        if one.activity == "walk" and one.spot is not None:
            self._at_spot(one, errand)
            return
        if one.activity != "walk":
            one.carrying = one.carrying or (one.activity == "browse" and errand.aim in ("try_on", "pay"))
        self._send(one, errand)

    def _at_spot(self, one: Shopper, errand: Errand) -> None:
        if errand.aim == "leave":
            one.gone = True
        elif errand.aim in ("browse", "try_on"):
            one.begin(errand.aim, errand.seconds)
            one.errands = one.errands[1:]

    def _send(self, one: Shopper, errand: Errand) -> None:
        if errand.aim == "pay":
            self._queue.append(one)
            self._line_up(one)
            return
        if errand.aim == "try_on" and self._rng.random() < 0.5:
            one.begin("try_on", errand.seconds)  # where he stands
            one.errands = one.errands[1:]
            return
        choices = {
            "browse": self._floor.browsing,
            "try_on": self._floor.fitting,
            "leave": ((self._floor.door[0], self._floor.door[1], self._floor.door[2] + math.pi),),
        }[errand.aim]
        taken = {other.spot for other in self.here}
        free = [spot for spot in choices if spot not in taken] or list(choices)
        self._walk(one, free[int(self._rng.integers(len(free)))])

    def _walk(self, one: Shopper, spot: Spot) -> None:
        one.go(self._ways.way((one.x, one.y), spot[:2]), spot)

    def _line_up(self, one: Shopper) -> None:
        place = self._floor.queue[min(self._queue.index(one), len(self._floor.queue) - 1)]
        if one.spot != place:
            self._walk(one, place)

    def _stand_in_line(self, one: Shopper) -> None:
        place = self._queue.index(one)
        if one.spot != self._floor.queue[min(place, len(self._floor.queue) - 1)]:
            self._line_up(one)
        elif place:
            one.begin("queue", 0.0)
        elif one.activity != "check_out":
            one.begin("check_out", one.errands[0].seconds)
        elif one.left <= 0:
            self._queue.remove(one)
            one.errands = one.errands[1:]
            one.carrying, one.bag, one.bought = False, True, True
            self._send(one, one.errands[0])

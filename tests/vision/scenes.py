"""Boxes that move as a test wants them."""

from collections.abc import Callable, Iterable

import msgspec

from schemas.analysis import Tracking
from schemas.messages import Box
from vision import tracker, trajectories
from vision.geometry import Homography
from vision.scene import Fact, Scene

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
WIDTH, HEIGHT = 1000, 500


def box(x: float, y: float, score: float = 0.9, label: str = "car", size: float = 50, track: str | None = None) -> Box:
    """A square whose bottom centre is at x, y."""
    return Box(label, score, round(x - size / 2, 2), round(y - size, 2), round(x + size / 2, 2), round(y, 2), track)


def scene(
    seconds: float,
    *boxes: Box,
    signals: dict[str, str] | None = None,
    ground: Homography | None = None,
) -> Scene:
    return Scene("cam", START + round(seconds * SECOND), WIDTH, HEIGHT, boxes, signals or {}, ground=ground)


def tracked(
    frames: Iterable[tuple[float, tuple[Box, ...]]],
    config: Tracking | None = None,
    ground: Homography | None = None,
    signals: Callable[[float], dict[str, str]] = lambda _: {},
) -> list[Scene]:
    """Frames (seconds, boxes) through the tracker, as the chain does it."""
    config = config or Tracking()
    state = tracker.initial()
    scenes = []
    for seconds, boxes in frames:
        captured_ns = START + round(seconds * SECOND)
        state, named = tracker.step(state, boxes, captured_ns, "cam", config)
        scenes.append(
            Scene("cam", captured_ns, WIDTH, HEIGHT, named, signals(seconds), tracker.earlier(state, config), ground)
        )
    return scenes


def ran(module: object, scenes: Iterable[Scene], rule: object, saving: bool = False) -> list[Fact]:
    """All facts of a rule; `saving`: its state goes through JSON between the frames."""
    state = module.initial()  # type: ignore[attr-defined]
    ways = trajectories.initial()
    facts: list[Fact] = []
    for one in scenes:
        if saving:
            state = msgspec.json.decode(msgspec.json.encode(state), type=type(state))
            ways = msgspec.json.decode(msgspec.json.encode(ways), type=trajectories.State)
        ways, one = trajectories.step(ways, one)
        state, found = module.step(state, one, rule)  # type: ignore[attr-defined]
        facts += found
    return facts

"""Two runs over the same frames of a camera, side by side: what each found, window by window."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from msgspec import Struct

from replay.past import Outcome
from replay.scoring import Occurrence, Score, match
from schemas.messages import Box, Detections, Event
from vision.association import assign, iou

JUDGED: Final = ("line_crossed", "red_light")
"""kinds of events of which the simulator tells the truth"""
WARM_UP_SECONDS: Final = 1.0
"""A track is confirmed after a few frames: what crosses a line in the first second of watching is nobody's fault."""
CERTAIN: Final = 0.5
"""boxes with a higher score are compared; lower ones come and go with every model"""
_SAME_IOU: Final = 0.5
_UNPAIRED: Final = ("gap", "end")
"""kinds that no model finds"""
_NS: Final = 1_000_000_000


class Window(Struct, frozen=True):
    """A stretch of one camera that both have seen."""

    camera: str
    index: int
    """since the beginning"""
    boxes: Score
    """B's as found, A's as truth"""
    events: Score
    errors: tuple[int, int] | None
    """of A and B against the truth: what did not happen and what was missed"""


class Side(Struct, frozen=True):
    """What one run has found of a camera."""

    frames: dict[int, Detections]
    """by capture time"""
    events: tuple[Event, ...]

    @classmethod
    def of(cls, found: Iterable[Outcome], from_ns: int, to_ns: int) -> "Side":
        frames: dict[int, Detections] = {}
        events: list[Event] = []
        for message in found:
            if isinstance(message, Detections) and from_ns <= message.captured_ns < to_ns:
                frames[message.captured_ns] = message
            elif isinstance(message, Event) and from_ns <= message.captured_ns < to_ns:
                events.append(message)
        return cls(frames, tuple(event for event in events if event.kind not in _UNPAIRED))


class Paired(Struct, frozen=True):
    windows: tuple[Window, ...]
    frames: int
    """that both have"""
    only_a: int
    only_b: int
    """frames that the other's model failed on"""
    kinds: tuple[dict[str, int], dict[str, int]]
    """events of each by kind, in these windows"""
    against_truth: tuple[Score, Score] | None


def pair(
    camera: str, from_ns: int, window_ns: int, count: int, a: Side, b: Side, truth: Sequence[Occurrence] | None
) -> Paired:
    """`count` windows from `from_ns` on; those in which not both have frames are left out."""
    common = sorted(a.frames.keys() & b.frames.keys())
    inside = [at for at in common if 0 <= (at - from_ns) // window_ns < count]
    seen = sorted({(at - from_ns) // window_ns for at in inside})

    def index(one: Occurrence) -> int:
        return (round(one.seconds * _NS) - from_ns) // window_ns

    boxes = {at: Score(0, 0, 0) for at in seen}
    for at in inside:
        boxes[(at - from_ns) // window_ns] += _boxes_alike(a.frames[at].boxes, b.frames[at].boxes)
    first, second = [[o for o in _occurrences(camera, side.events) if index(o) in boxes] for side in (a, b)]
    events = {at: Score(0, 0, 0) for at in seen}
    for one in second:
        events[index(one)] += Score(1, 0, 0)
    for one in first:
        events[index(one)] += Score(0, 1, 0)
    for _, at in match(second, first):
        events[index(first[at])] += Score(0, 0, 1)
    errors: dict[int, list[int]] | None = None
    scores: list[Score] = []
    if truth is not None:
        errors = {at: [0, 0] for at in seen}
        judged_s = from_ns / _NS + WARM_UP_SECONDS
        true = [one for one in truth if index(one) in errors and one.seconds >= judged_s]
        for arm, side in enumerate((first, second)):
            found = [one for one in side if one.what[1] in JUDGED and one.seconds >= judged_s]
            pairs = match(found, true)
            scores.append(Score(len(found), len(true), len(pairs)))
            for one in _left(found, {at for at, _ in pairs}) + _left(true, {at for _, at in pairs}):
                errors[index(one)][arm] += 1
    return Paired(
        tuple(
            Window(camera, at, boxes[at], events[at], (errors[at][0], errors[at][1]) if errors is not None else None)
            for at in seen
        ),
        len(common),
        len(a.frames) - len(common),
        len(b.frames) - len(common),
        (_by_kind(first), _by_kind(second)),
        (scores[0], scores[1]) if scores else None,
    )


def agreement(scores: Iterable[Score]) -> float | None:
    """Dice's coefficient of what both have and what each has; null where neither has anything."""
    total = sum(scores, Score(0, 0, 0))
    return 2 * total.matched / (total.found + total.truth) if total.found + total.truth else None


def occurrence(camera: str, event: Event) -> Occurrence:
    """At the moment of the crossing, where the rule knows it better than by the frame."""
    seconds = float(event.details.get("crossed_ns", event.captured_ns)) / _NS
    return Occurrence((camera, event.kind, event.rule, event.details.get("direction", "forward")), seconds)


def _occurrences(camera: str, events: Iterable[Event]) -> list[Occurrence]:
    return [occurrence(camera, event) for event in events]


def _by_kind(occurrences: Iterable[Occurrence]) -> dict[str, int]:
    return dict(Counter(str(one.what[1]) for one in occurrences))


def _left(occurrences: Sequence[Occurrence], matched: set[int]) -> list[Occurrence]:
    return [one for at, one in enumerate(occurrences) if at not in matched]


def _boxes_alike(first: Sequence[Box], second: Sequence[Box]) -> Score:
    a, b = ([box for box in boxes if box.score >= CERTAIN] for boxes in (first, second))
    if not a or not b:
        return Score(len(b), len(a), 0)
    overlap = iou(_corners(a), _corners(b))
    same = np.array([[one.label == other.label for other in b] for one in a])
    return Score(len(b), len(a), len(assign(1.0 - overlap, same & (overlap >= _SAME_IOU))))


def _corners(boxes: Sequence[Box]) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
    return np.array([[box.x1, box.y1, box.x2, box.y2] for box in boxes], np.float64)

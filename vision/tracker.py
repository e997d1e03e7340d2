"""Boxes that belong together over time.

Two-stage association after ByteTrack (Zhang et al., ECCV 2022): boxes the detector is sure of are matched first,
then the doubtful ones may keep alive what is known already. Motion: constant velocity, one Kalman filter per track,
with the time between captures as its step, so that sampling, lost frames and variable frame rates need no settings.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from schemas.analysis import Tracking
from schemas.messages import Box
from vision.association import Bools, assign, iou, strides
from vision.motion import (
    Floats,
    Motion,
    centred,
    corners_of,
    corrected,
    motions_of,
    predicted,
    started,
    table_of,
)
from vision.scene import Earlier

_SAME_OBJECT_IOU: Final = 0.75
"""A new track is not opened this close to a box that has one: detectors call one vehicle both car and truck."""
_OTHER_LABEL: Final = 0.2
"""what a change of label costs, in IoU"""
_TENTATIVE_MISSES: Final = 1
_MAX_EARLIER: Final = 64


class Track(Struct, frozen=True):
    id: str
    seen_ns: int
    hits: int
    missed: int
    """steps since the last box"""
    votes: tuple[tuple[str, float], ...]
    """sum of scores per label, sorted by label"""
    motion: Motion
    earlier: tuple[Earlier, ...] = ()
    """the boxes before the confirmation, until the step after it"""

    @property
    def label(self) -> str:
        """What most of the scores say; among equals the first in the alphabet."""
        if len(self.votes) == 1:
            return self.votes[0][0]
        return max(self.votes, key=_weight)[0]


class TrackerState(Struct, frozen=True):
    captured_ns: int = 0
    tracks: tuple[Track, ...] = ()
    """oldest first"""


def initial() -> TrackerState:
    return TrackerState()


def earlier(state: TrackerState, config: Tracking) -> tuple[Earlier, ...]:
    """Where the tracks confirmed by the step that led here were before; for `Scene.earlier`."""
    return tuple(
        place
        for track in state.tracks
        if track.hits == config.confirm_frames and track.missed == 0
        for place in track.earlier
    )


def step(
    state: TrackerState, boxes: tuple[Box, ...], captured_ns: int, camera: str, config: Tracking
) -> tuple[TrackerState, tuple[Box, ...]]:
    """One frame on. The boxes come back in their order; those of confirmed tracks carry the track's id and label.

    A track's id is the camera, its first capture time (hex) and its place among that frame's boxes. Frames come in
    presentation order; a clock that stands still or goes back counts as no time gone by.
    """
    seconds = max(0, captured_ns - state.captured_ns) / 1e9
    max_lost_ns = round(config.max_lost_seconds * 1e9)
    tracks = [track for track in state.tracks if captured_ns - track.seen_ns <= max_lost_ns]
    corners = np.array([(box.x1, box.y1, box.x2, box.y2) for box in boxes], np.float64).reshape(-1, 4)
    places = centred(corners)
    table = predicted(table_of([track.motion for track in tracks]), seconds)

    owner = _associate(tracks, table, boxes, corners, config)
    matched = [(track, index) for index, track in enumerate(owner) if track is not None]
    table = corrected(table, [track for track, _ in matched], places[[index for _, index in matched]])
    box_of = dict(matched)

    after: list[Track] = []
    tracked: list[Box] = list(boxes)
    for number, (track, motion) in enumerate(zip(tracks, motions_of(table), strict=True)):
        index = box_of.get(number)
        if index is None:
            if track.hits >= config.confirm_frames or track.missed < _TENTATIVE_MISSES:
                after.append(_missed(track, motion))
            continue
        grown = _seen(track, boxes[index], captured_ns, motion, config)
        after.append(grown)
        if grown.hits >= config.confirm_frames:
            tracked[index] = replace(boxes[index], track=grown.id, label=grown.label)
    openers = _openers(boxes, corners, owner, config)
    for index, motion in zip(openers, motions_of(started(places[openers])), strict=True):
        box = boxes[index]
        name = f"{camera}-{captured_ns:x}-{index}"
        confirmed = config.confirm_frames == 1
        here = () if confirmed else (_earlier(name, captured_ns, box),)
        after.append(Track(name, captured_ns, 1, 0, ((box.label, box.score),), motion, here))
        if confirmed:
            tracked[index] = replace(box, track=name)
    return TrackerState(captured_ns, tuple(after)), tuple(tracked)


def _associate(
    tracks: Sequence[Track], table: Floats, boxes: Sequence[Box], corners: Floats, config: Tracking
) -> list[int | None]:
    """For each box the number of its track. In turn: confirmed tracks with sure boxes by overlap; confirmed tracks
    with doubtful boxes by overlap; tentative tracks with sure boxes by overlap; tracks seen one step ago with sure
    boxes by distance."""
    owner: list[int | None] = [None] * len(boxes)
    if not tracks or not boxes:
        return owner
    overlap = iou(corners_of(table), corners)
    numbers_of: dict[str, int] = {}
    track_labels = np.array([numbers_of.setdefault(track.label, len(numbers_of)) for track in tracks])
    box_labels = np.array([numbers_of.setdefault(box.label, len(numbers_of)) for box in boxes])
    other = _OTHER_LABEL * (track_labels[:, None] != box_labels[None, :])
    by_overlap = 1.0 - overlap + other, overlap >= max(config.min_iou, 1e-6)

    def by_distance() -> tuple[Floats, Bools]:
        distance, near = strides(table, centred(corners))
        return distance + other, near

    sure = [index for index, box in enumerate(boxes) if box.score >= config.high_score]
    doubtful = [index for index, box in enumerate(boxes) if config.low_score <= box.score < config.high_score]
    confirmed = [number for number, track in enumerate(tracks) if track.hits >= config.confirm_frames]
    tentative = [number for number, track in enumerate(tracks) if track.hits < config.confirm_frames]
    fresh = [number for number, track in enumerate(tracks) if track.missed == 0]
    free = set(range(len(tracks)))
    for numbers, indices, measure in (
        (confirmed, sure, lambda: by_overlap),
        (confirmed, doubtful, lambda: by_overlap),
        (tentative, sure, lambda: by_overlap),
        (fresh, sure, by_distance),  # most frames have nothing left for it
    ):
        rows = [number for number in numbers if number in free]
        columns = [index for index in indices if owner[index] is None]
        if not rows or not columns:
            continue
        cost, allowed = measure()
        view = np.ix_(rows, columns)
        for row, column in assign(cost[view], allowed[view]):
            owner[columns[column]] = rows[row]
            free.remove(rows[row])
    return owner


def _openers(boxes: Sequence[Box], corners: Floats, owner: Sequence[int | None], config: Tracking) -> list[int]:
    """Sure boxes that belong to no track and are no second reading of one that does; best first, as boxes come."""
    taken = [index for index, track in enumerate(owner) if track is not None]
    openers: list[int] = []
    for index, box in enumerate(boxes):
        if owner[index] is not None or box.score < config.high_score:
            continue
        others = taken + openers
        if others and iou(corners[[index]], corners[others]).max() > _SAME_OBJECT_IOU:
            continue
        openers.append(index)
    return openers


def _seen(track: Track, box: Box, captured_ns: int, motion: Motion, config: Tracking) -> Track:
    if len(track.votes) == 1 and track.votes[0][0] == box.label:
        votes: tuple[tuple[str, float], ...] = ((box.label, round(track.votes[0][1] + box.score, 3)),)
    else:
        sums = dict(track.votes)
        sums[box.label] = round(sums.get(box.label, 0.0) + box.score, 3)
        votes = tuple(sorted(sums.items()))
    hits = track.hits + 1
    here = track.earlier
    if hits < config.confirm_frames:
        here = (*here, _earlier(track.id, captured_ns, box))[-_MAX_EARLIER:]
    elif hits > config.confirm_frames:
        here = ()
    return Track(track.id, captured_ns, hits, 0, votes, motion, here)


def _missed(track: Track, motion: Motion) -> Track:
    return Track(track.id, track.seen_ns, track.hits, track.missed + 1, track.votes, motion, track.earlier)


def _weight(vote: tuple[str, float]) -> float:
    return vote[1]


def _earlier(track: str, captured_ns: int, box: Box) -> Earlier:
    return Earlier(track, captured_ns, box.x1, box.y1, box.x2, box.y2)

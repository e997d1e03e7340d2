"""People's keypoints from what a served pose model answers, whatever network is inside.

18 keypoints in OpenPose's order: COCO's 17 and the neck. Two kinds of answers are understood:

- `people` float32 [N, K, 18, 3] (x, y in input pixels, score) and `scores` [N, K]: nothing is left to do;
- `peaks` float32 [N, 18, P, 3] (x, y, score; unused ones have score 0) and `links` [N, 19, P, P]: how well peak i of a
  limb's first keypoint is joined to peak j of its second. Putting people together from these takes one decision after
  the other, each depending on those before, and as many people as there are: a graph has no plain way to say that, and
  here it costs a fraction of a millisecond.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from vision.letterbox import Letterbox

Floats = npt.NDArray[np.float64]

KEYPOINTS: Final = (
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "right_eye", "left_eye",
    "right_ear", "left_ear",
)  # fmt: skip
COUNT: Final = len(KEYPOINTS)
#: First and second keypoint of each limb; the last two, ear to shoulder, help where a face is half hidden.
LIMBS: Final = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13), (1, 0),
    (0, 14), (14, 16), (0, 15), (15, 17), (2, 16), (5, 17),
)  # fmt: skip
_FEWEST: Final = 3
"""keypoints that make a person"""
_LEAST: Final = 0.2
"""mean of a person's keypoint and link scores"""


class People(msgspec.Struct, frozen=True):
    """`keypoints` [K, 18, 3]: x, y, score, all zero where a keypoint was not found; `scores` [K], best first."""

    keypoints: Floats
    scores: Floats


def people_of(answers: Mapping[str, npt.NDArray[np.floating]], picture: int = 0) -> People:
    """The people of one picture of a batch, in pixels of the model's input. Scores are rounded to 0.001 before they
    decide anything. ValueError for answers that no model of this contract may give."""
    if "people" in answers and "scores" in answers:
        keypoints, scores = (np.asarray(answers[name][picture], np.float64) for name in ("people", "scores"))
        if keypoints.ndim != 3 or keypoints.shape[1:] != (COUNT, 3) or scores.shape != keypoints.shape[:1]:
            raise ValueError(f"people of shape {keypoints.shape} with scores of shape {scores.shape}")
        if not (np.isfinite(keypoints).all() and np.isfinite(scores).all()):
            raise ValueError("people that are not finite numbers")
        return _ordered(keypoints, np.round(scores, 3))
    if "peaks" in answers and "links" in answers:
        return assembled(*(np.asarray(answers[name][picture], np.float64) for name in ("peaks", "links")))
    raise ValueError(f"answers {sorted(answers)}: a pose model gives people and scores, or peaks and links")


def assembled(peaks: Floats, links: Floats) -> People:
    """People put together limb by limb: of each the best links first, each peak once (Cao et al., "Realtime
    Multi-Person 2D Pose Estimation using Part Affinity Fields", 2017, section 2.4).

    peaks [18, P, 3], links [19, P, P].
    """
    count = peaks.shape[1] if peaks.ndim == 3 else 0
    if peaks.shape != (COUNT, count, 3) or links.shape != (len(LIMBS), count, count):
        raise ValueError(f"peaks of shape {peaks.shape} with links of shape {links.shape}")
    if not (np.isfinite(peaks).all() and np.isfinite(links).all()):
        raise ValueError("peaks or links that are not finite numbers")
    peaks, links = peaks.copy(), np.round(links, 3)
    peaks[..., 2] = np.round(peaks[..., 2], 3)
    people: list[dict[int, int]] = []
    strengths: list[float] = []
    for limb, (first, second) in enumerate(LIMBS):
        there = (peaks[first, :, 2] > 0)[:, None] & (peaks[second, :, 2] > 0)[None]
        for i, j, strength in _matched(np.where(there, links[limb], 0.0)):
            _join(people, strengths, (first, i), (second, j), strength)
    found = []
    scores = []
    for person, strength in zip(people, strengths, strict=True):
        rows = np.zeros((COUNT, 3))
        for keypoint, place in person.items():
            rows[keypoint] = peaks[keypoint, place]
        mean = (rows[:, 2].sum() + strength) / (2 * len(person) - 1)
        if len(person) >= _FEWEST and mean >= _LEAST:
            found.append(rows)
            # of two people the one of whom more is seen counts more
            scores.append(round(float(mean) * (len(person) / COUNT) ** 0.5, 3))
    return _ordered(np.array(found).reshape(-1, COUNT, 3), np.array(scores))


def unmapped(people: People, letterbox: Letterbox, source_width: int, source_height: int) -> People:
    """The same people in pixels of the source picture."""
    left, top, width, height = letterbox.placement(source_width, source_height)
    keypoints = people.keypoints.copy()
    there = keypoints[..., 2] > 0
    keypoints[..., 0] = np.where(there, np.round((keypoints[..., 0] - left) * source_width / width, 2), 0.0)
    keypoints[..., 1] = np.where(there, np.round((keypoints[..., 1] - top) * source_height / height, 2), 0.0)
    return People(keypoints, people.scores)


def _matched(links: Floats) -> list[tuple[int, int, float]]:
    """Pairs with a positive link, the best first, each row and column once."""
    rows, columns = np.nonzero(links > 0)
    order = np.lexsort((columns, rows, -links[rows, columns]))
    taken: tuple[set[int], set[int]] = (set(), set())
    found = []
    for i, j in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if i not in taken[0] and j not in taken[1]:
            taken[0].add(i)
            taken[1].add(j)
            found.append((i, j, float(links[i, j])))
    return found


def _join(
    people: list[dict[int, int]],
    strengths: list[float],
    first: tuple[int, int],
    second: tuple[int, int],
    strength: float,
) -> None:
    """A link between two peaks: it lengthens a person, joins two halves of one, or begins one."""
    mine = [k for k, person in enumerate(people) if first in person.items() or second in person.items()]
    if not mine:
        people.append(dict((first, second)))
        strengths.append(strength)
        return
    one = mine[0]
    if len(mine) > 1:
        other = mine[1]
        if people[one].keys() & people[other].keys():
            return  # both have, say, a left knee: they are two people
        people[one] |= people.pop(other)
        strengths[one] += strengths.pop(other) + strength
        return
    for keypoint, place in (first, second):
        if people[one].get(keypoint, place) != place:
            return  # he has another one already, by a better link
    grown = len(people[one])
    people[one] |= dict((first, second))
    if len(people[one]) > grown:
        strengths[one] += strength


def _ordered(keypoints: Floats, scores: Floats) -> People:
    """Best first; people without a score are no rows in use."""
    used = scores > 0
    keypoints, scores = keypoints[used], scores[used]
    order = np.lexsort((*(keypoints[:, 1, k] for k in (1, 0)), -scores))
    return People(keypoints[order], scores[order])

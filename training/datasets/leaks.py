"""Whether two parts of a split have seen the same: the same source at the same time, or nearly the same picture."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from typing import Final, Literal

import cv2
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from training.datasets.dataset import Dataset, LabelledPicture
from training.datasets.picture_file import read_picture
from training.datasets.split import PARTS, Split

NEAR_BITS: Final = 5
"""of 64: hashes that differ by no more are of nearly the same picture"""
NEAR_LEVELS: Final = 8.0
"""mean difference of their thumbnails, of 255: flat pictures have equal hashes whatever their grey"""
_THUMB: Final = 16
_ROWS: Final = 1024


class Leak(Struct, frozen=True):
    """Two pictures of different parts that should not be parted. `why`: "time", or "likeness"."""

    first: str
    second: str
    parts: tuple[str, str]
    why: Literal["time", "likeness"]
    what: str


class LeakError(ValueError):
    """The split leaks; `leaks` are the pairs."""

    def __init__(self, leaks: tuple[Leak, ...]) -> None:
        self.leaks = leaks
        super().__init__(f"{leaks[0].first} and {leaks[0].second}: {leaks[0].what}; {len(leaks)} such pairs in all")


def check_leaks(dataset: Dataset, made: Split) -> None:
    """Raises LeakError for the pairs that leak. Reads every picture once; PictureError for one that is gone."""
    found = leaks(dataset, made)
    if found:
        raise LeakError(found)


def leaks(dataset: Dataset, made: Split, most: int = 100) -> tuple[Leak, ...]:
    """The pairs that leak, those by time first; at most `most`."""
    by_file = {picture.file: picture for picture in dataset.pictures}
    parts = [(part, [by_file[file] for file in made.part(part)]) for part in PARTS]
    hashed = {part: _hashed(dataset, pictures) for part, pictures in parts}
    found: list[Leak] = []
    for (part, pictures), (other, others) in combinations(parts, 2):
        found += _overlaps(part, pictures, other, others)
    for (part, pictures), (other, others) in combinations(parts, 2):
        for a, b, bits in _alike(hashed[part], hashed[other], most - len(found)):
            what = f"nearly the same picture ({bits} of 64 bits differ)"
            found.append(Leak(pictures[a].file, others[b].file, (part, other), "likeness", what))
    return tuple(found[:most])


def _overlaps(
    part: str, pictures: Sequence[LabelledPicture], other: str, others: Sequence[LabelledPicture]
) -> list[Leak]:
    """One pair for each source whose stretches of time in the two parts overlap, or are not known."""
    found = []
    ours, theirs = _stretches(pictures), _stretches(others)
    for source in sorted(ours.keys() & theirs.keys()):
        first, second = ours[source], theirs[source]
        unknown = [p for p in (*first, *second) if p.time_s is None]
        if unknown:
            what = f"both of source {source!r}, and the time of {unknown[0].file} is not known"
            found.append(Leak(first[0].file, second[0].file, (part, other), "time", what))
        elif _time(first[0]) <= _time(second[-1]) and _time(second[0]) <= _time(first[-1]):
            # the pair nearest in time shows it best
            a, b = min(
                ((a, b) for a in first for b in _nearest(second, _time(a))),
                key=lambda pair: (abs(_time(pair[0]) - _time(pair[1])), pair[0].file, pair[1].file),
            )
            what = f"both of source {source!r}, {abs(_time(a) - _time(b)):g} s apart in stretches that overlap"
            found.append(Leak(a.file, b.file, (part, other), "time", what))
    return found


def _stretches(pictures: Sequence[LabelledPicture]) -> dict[str, list[LabelledPicture]]:
    sources: dict[str, list[LabelledPicture]] = defaultdict(list)
    for picture in pictures:
        sources[picture.source].append(picture)
    return {name: sorted(own, key=lambda p: (_time(p), p.file)) for name, own in sources.items()}


def _time(picture: LabelledPicture) -> float:
    return picture.time_s if picture.time_s is not None else 0.0


def _nearest(pictures: list[LabelledPicture], time_s: float) -> list[LabelledPicture]:
    """The ones before and after a time."""
    at = int(np.searchsorted([_time(p) for p in pictures], time_s))
    return pictures[max(0, at - 1) : at + 1]


class _Hashed(Struct, frozen=True):
    hashes: NDArray[np.uint64]
    thumbs: NDArray[np.float32]


def _hashed(dataset: Dataset, pictures: Sequence[LabelledPicture]) -> _Hashed:
    """Difference hashes (each bit: is the cell darker than the one to its right) and thumbnails."""
    hashes, thumbs = [], []
    for picture in pictures:
        grey = cv2.cvtColor(read_picture(dataset.folder / picture.file), cv2.COLOR_BGR2GRAY)
        small = cv2.resize(grey, (9, 8), interpolation=cv2.INTER_AREA).astype(np.int16)
        hashes.append(np.packbits(small[:, :-1] < small[:, 1:]).view(np.uint64)[0])
        thumbs.append(cv2.resize(grey, (_THUMB, _THUMB), interpolation=cv2.INTER_AREA).astype(np.float32).ravel())
    return _Hashed(np.array(hashes, np.uint64), np.array(thumbs, np.float32).reshape(-1, _THUMB * _THUMB))


def _alike(ours: _Hashed, theirs: _Hashed, most: int) -> list[tuple[int, int, int]]:
    """Pairs of indices with their hashes' distance."""
    found: list[tuple[int, int, int]] = []
    for start in range(0, len(ours.hashes), _ROWS):
        distances = np.bitwise_count(ours.hashes[start : start + _ROWS, None] ^ theirs.hashes[None])
        for row, column in zip(*np.nonzero(distances <= NEAR_BITS), strict=True):
            if len(found) >= most:
                return found
            a, b = start + int(row), int(column)
            if float(np.abs(ours.thumbs[a] - theirs.thumbs[b]).mean()) <= NEAR_LEVELS:
                found.append((a, b, int(distances[row, column])))
    return found

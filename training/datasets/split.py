"""Splits a dataset 7:2:1 by source and time: whole sources, or long blocks of time, never single frames.

Neighbouring frames are nearly the same picture: parted at random, the same scene is learnt and judged, and the figure
means nothing.
"""

import hashlib
from collections import defaultdict
from typing import Final, Literal, TypeAlias, get_args

import msgspec
from msgspec import Struct

from training.datasets.dataset import Dataset, LabelledPicture

Part: TypeAlias = Literal["train", "validation", "test"]
PARTS: Final[tuple[Part, ...]] = get_args(Part)
NAME: Final = "split.json"
"""a split that is taken instead of ours, where it lies in the dataset's folder"""
SHARES: Final[dict[Part, float]] = {"train": 0.7, "validation": 0.2, "test": 0.1}
_ENOUGH_SOURCES: Final = 10
"""from here on sources stay whole"""
_LONG: Final = 50
"""pictures from which on a source may be cut: its shortest stretch then has five"""


class SplitError(ValueError):
    """The dataset cannot be split so; the text says why and what would help."""


class Split(Struct, frozen=True):
    """The pictures' files, in order of source and time."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def part(self, part: Part) -> tuple[str, ...]:
        return {"train": self.train, "validation": self.validation, "test": self.test}[part]


def split(dataset: Dataset, seed: int = 0) -> Split:
    """With ten sources or more each goes to one part as a whole; with fewer, each is cut in time, its first seven
    tenths to learn from. Which source goes where follows from the seed and the sources' names.

    Raises SplitError where a part would be empty.
    """
    sources = _by_source(dataset)
    chosen: dict[Part, list[str]] = {part: [] for part in PARTS}
    whole = dict(sources)
    if len(sources) < _ENOUGH_SOURCES:
        for name, pictures in sources.items():
            # a picture without a time has no neighbours that could be told from it
            if len(pictures) >= _LONG and all(p.time_s is not None for p in pictures):
                del whole[name]
                for part, files in _cut_in_time(pictures).items():
                    chosen[part] += files
    # the largest first, each to the part that lacks most: shares come out nearest
    order = sorted(whole, key=lambda name: (-len(whole[name]), _lot(seed, name)))
    total = len(dataset.pictures)
    for name in order:
        part = min(PARTS, key=lambda p: (len(chosen[p]) - SHARES[p] * total) / SHARES[p])
        chosen[part] += [picture.file for picture in whole[name]]
    empty = [part for part in PARTS if not chosen[part]]
    if empty:
        raise SplitError(
            f"{len(sources)} sources, {total} pictures: nothing is left for {' and '.join(empty)}; three sources, or "
            f"{_LONG} pictures of one with their times, are needed (sources.csv can tell them)"
        )
    return Split(*(tuple(chosen[part]) for part in PARTS))


def read_split(content: bytes, dataset: Dataset) -> Split:
    """A split that was made elsewhere: JSON with the three lists. Raises SplitError for one that does not fit."""
    try:
        made = msgspec.json.decode(content, type=Split)
    except msgspec.DecodeError as error:
        raise SplitError(f"no split: {error}") from None
    known = {picture.file for picture in dataset.pictures}
    seen: dict[str, Part] = {}
    for part in PARTS:
        for file in made.part(part):
            if file not in known:
                raise SplitError(f"{part}: the dataset has no picture {file!r}")
            if file in seen:
                raise SplitError(f"{part}: {file!r} is in {seen[file]} too")
            seen[file] = part
    return made


def _by_source(dataset: Dataset) -> dict[str, list[LabelledPicture]]:
    sources: dict[str, list[LabelledPicture]] = defaultdict(list)
    for picture in dataset.pictures:
        sources[picture.source].append(picture)
    for pictures in sources.values():
        pictures.sort(key=lambda p: (p.time_s is not None, p.time_s or 0.0, p.file))
    return dict(sorted(sources.items()))


def _cut_in_time(pictures: list[LabelledPicture]) -> dict[Part, list[str]]:
    """Three stretches of time; pictures of the same moment stay together."""
    first = _moment(pictures, round(0.7 * len(pictures)))
    second = max(first, _moment(pictures, round(0.9 * len(pictures))))
    return {
        "train": [picture.file for picture in pictures[:first]],
        "validation": [picture.file for picture in pictures[first:second]],
        "test": [picture.file for picture in pictures[second:]],
    }


def _moment(pictures: list[LabelledPicture], at: int) -> int:
    """The next place from `at` on where time has passed."""
    while 0 < at < len(pictures) and pictures[at].time_s == pictures[at - 1].time_s:
        at += 1
    return at


def _lot(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode()).digest()

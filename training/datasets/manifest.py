"""A training set as offsets of the log: which record's picture, and what is in it. JSON lines, first a header."""

from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from training.datasets.dataset import LabelledBox

FORMAT: Final = "rewatch-manifest-1"
MOST_BYTES: Final = 512 << 20


class Entry(Struct, frozen=True, order=True):
    """The picture of the record at `offset`, whose decoding begins at `keyframe_offset`. Boxes in its pixels."""

    camera: str
    topic: str
    partition: int
    keyframe_offset: int
    offset: int
    captured_ns: int
    sha256: str
    """of the record's value: offsets may begin again in a log that was made anew"""
    boxes: tuple[LabelledBox, ...]


class Header(Struct, frozen=True):
    """`labels_from`: who says what is in the pictures. `query`: what was asked of the log."""

    format: str
    classes: tuple[str, ...]
    labels_from: str
    query: dict[str, str | int | float]


class ManifestError(ValueError):
    """The file is no manifest, or the log no longer holds what it names; the text says which line or record."""


def write_manifest(path: Path, header: Header, entries: tuple[Entry, ...]) -> None:
    """The same bytes for the same entries."""
    path.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in (header, *sorted(entries))))


def read_manifest(path: Path) -> tuple[Header, tuple[Entry, ...]]:
    """Raises ManifestError, and OSError where there is none."""
    if path.stat().st_size > MOST_BYTES:
        raise ManifestError(f"{path}: more than {MOST_BYTES >> 20} MiB")
    first, *rest = path.read_bytes().splitlines() or [b""]
    number = 1
    try:
        header = msgspec.json.decode(first, type=Header)
        if header.format != FORMAT:
            raise ManifestError(f"{path}: format {header.format!r}, this version reads {FORMAT!r}")
        entries = []
        for line in rest:
            number += 1
            entry = msgspec.json.decode(line, type=Entry)
            _check(entry, header)
            entries.append(entry)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path}, line {number}: {error}") from None
    except _EntryError as error:
        raise ManifestError(f"{path}, line {number}: {error}") from None
    if not entries:
        raise ManifestError(f"{path}: it names no picture")
    return header, tuple(entries)


class _EntryError(ValueError):
    pass


def _check(entry: Entry, header: Header) -> None:
    unknown = [box.label for box in entry.boxes if box.label not in header.classes]
    if unknown:
        raise _EntryError(f"unknown class {unknown[0]!r}")
    if not 0 <= entry.keyframe_offset <= entry.offset:
        raise _EntryError(f"offset {entry.offset} is not behind the keyframe's, {entry.keyframe_offset}")

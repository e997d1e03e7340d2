"""The truth beside a clip: JSON lines, first a header, then one line per frame."""

from pathlib import Path
from typing import IO, Any, Final, Self, TypeVar

import msgspec

from simulator.truth import EventTruth, Geometry, Truth

FORMAT: Final = "rewatch-truth-1"


class ClipHeader(msgspec.Struct, frozen=True):
    """First line. `time_base` is (numerator, denominator) of a second; each frame's `pts` counts in it.

    `analysis` is the configuration a camera with this view needs.
    """

    format: str
    codec: str
    time_base: tuple[int, int]
    gop_frames: int
    geometry: Geometry
    analysis: dict[str, Any]


class TruthError(ValueError):
    """The file is not a truth file; the text names it and the line."""


class TruthWriter:
    """Writes header and frames as they come. A context manager: the file appears under its name when all went well."""

    def __init__(self, path: Path, header: msgspec.Struct) -> None:
        self._path, self._part = path, path.with_name(f".{path.name}.part")
        self._file: IO[bytes] = self._part.open("wb")
        self._encoder = msgspec.json.Encoder()
        self._file.write(self._encoder.encode(header) + b"\n")

    def write(self, truth: msgspec.Struct) -> None:
        """Append one frame."""
        self._file.write(self._encoder.encode(truth) + b"\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        self._file.close()
        if failure is None:
            self._part.replace(self._path)
        else:
            self._part.unlink(missing_ok=True)


def read_truth(path: Path) -> tuple[ClipHeader, list[Truth]]:
    """Header and frames of a truth file. Raises TruthError, or OSError where there is none."""
    header, frames = read_lines(path, ClipHeader, Truth)
    if header.format != FORMAT:
        raise TruthError(f"{path}: format {header.format!r}, this version reads {FORMAT!r}")
    return header, frames


_Header = TypeVar("_Header")
_Line = TypeVar("_Line")


def read_lines(path: Path, header: type[_Header], line: type[_Line]) -> tuple[_Header, list[_Line]]:
    """First line and the others. Raises TruthError, naming the line; OSError."""
    with path.open("rb") as file:
        first = _decoded(file.readline(), header, path, 1)
        return first, [_decoded(text, line, path, number) for number, text in enumerate(file, 2)]


def _decoded(line: bytes, kind: type[_Line], path: Path, number: int) -> _Line:
    try:
        return msgspec.json.decode(line, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TruthError(f"{path}, line {number}: {error}") from error


def events_of(frames: list[Truth]) -> list[EventTruth]:
    """All events of a clip, by time."""
    return sorted((e for frame in frames for e in frame.events), key=lambda e: (e.time_s, e.track, e.rule))

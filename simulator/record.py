"""The truth beside a clip: JSON lines, first a header, then one line per frame."""

from pathlib import Path
from typing import IO, Any, Final

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
    """Writes header and frames as they come; a context manager."""

    def __init__(self, path: Path, header: ClipHeader) -> None:
        self._file: IO[bytes] = path.open("wb")
        self._encoder = msgspec.json.Encoder()
        self._file.write(self._encoder.encode(header) + b"\n")

    def write(self, truth: Truth) -> None:
        """Append one frame."""
        self._file.write(self._encoder.encode(truth) + b"\n")

    def __enter__(self) -> "TruthWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def read_truth(path: Path) -> tuple[ClipHeader, list[Truth]]:
    """Header and frames of a truth file. Raises TruthError, or OSError where there is none."""
    decoder = msgspec.json.Decoder(Truth)
    frames = []
    with path.open("rb") as file:
        number = 1
        try:
            header = msgspec.json.decode(file.readline(), type=ClipHeader)
            for number, line in enumerate(file, 2):
                frames.append(decoder.decode(line))
        except msgspec.DecodeError as error:
            raise TruthError(f"{path}, line {number}: {error}") from error
    if header.format != FORMAT:
        raise TruthError(f"{path}: format {header.format!r}, this version reads {FORMAT!r}")
    return header, frames


def events_of(frames: list[Truth]) -> list[EventTruth]:
    """All events of a clip, by time."""
    return sorted((e for frame in frames for e in frame.events), key=lambda e: (e.time_s, e.track, e.rule))

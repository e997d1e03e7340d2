"""A line as a clip or live stream, with its truth beside it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from simulator.encoder import TIME_BASE, Encoder, Encoding
from simulator.film import Film, FilmError, shoot
from simulator.line.part import LineError
from simulator.line.scene import LineScene
from simulator.line.truth import LineGeometry, LineTruth
from simulator.record import TruthError, read_lines

FORMAT: Final = "rewatch-line-truth-1"


class LineHeader(msgspec.Struct, frozen=True):
    """First line of the truth file. `time_base` is (numerator, denominator) of a second; `pts` counts in it.

    `analysis` is the configuration a camera with this view needs: no rules, for a belt has no roads.
    """

    format: str
    codec: str
    time_base: tuple[int, int]
    gop_frames: int
    geometry: LineGeometry
    analysis: dict[str, Any]


class LineReport(msgspec.Struct, frozen=True):
    """What was rendered: parts that were seen, the defective ones among them, their defects by kind (each part counts
    once); `elapsed` seconds of the wall clock."""

    clip: str
    truth: str | None
    frames: int
    seconds: float
    parts: int
    defective: int
    defects: dict[str, int]
    elapsed: float


def render_line(
    scene: LineScene,
    target: str | Path,
    seconds: float,
    encoding: Encoding | None = None,
    truth: Path | None = None,
    paced: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> LineReport:
    """Render `seconds` of a line to a file or address; truth to `truth` if given.

    `paced` and `progress` as for a junction's clip. Raises LineError, EncodeError, OSError.
    """
    encoding = encoding or Encoding()
    defects: dict[int, tuple[str, ...]] = {}

    def header(encoder: Encoder) -> LineHeader:
        return LineHeader(
            format=FORMAT,
            codec=encoding.codec,
            time_base=(TIME_BASE.numerator, TIME_BASE.denominator),
            gop_frames=encoder.gop_frames,
            geometry=scene.geometry,
            analysis={"rules": []},
        )

    def watch(seen: LineTruth) -> None:
        for part in seen.parts:
            kinds = tuple(defect.kind for defect in part.defects)
            # a part that enters shows only some of its defects at first
            defects[part.id] = max(defects.get(part.id, ()), kinds, key=len)

    try:
        frames, elapsed = shoot(scene, Film(target, seconds, encoding, truth, paced, progress), header, watch)
    except FilmError as error:
        raise LineError(str(error)) from error
    kinds = [kind for found in defects.values() for kind in found]
    return LineReport(
        clip=str(target),
        truth=str(truth) if truth else None,
        frames=frames,
        seconds=frames / scene.fps,
        parts=len(defects),
        defective=sum(bool(found) for found in defects.values()),
        defects={kind: kinds.count(kind) for kind in sorted(set(kinds))},
        elapsed=elapsed,
    )


def read_line_truth(path: Path) -> tuple[LineHeader, list[LineTruth]]:
    """Header and frames of a line's truth file. Raises TruthError, or OSError where there is none."""
    header, frames = read_lines(path, LineHeader, LineTruth)
    if header.format != FORMAT:
        raise TruthError(f"{path}: format {header.format!r}, this version reads {FORMAT!r}")
    return header, frames

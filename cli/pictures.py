"""Pictures as a detector sees them, from clips and from a camera's log."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final

import av
import numpy as np
import typer
from av.error import FFmpegError
from numpy.typing import NDArray

from cli.moment import FORMS, nanoseconds
from cli.reach import reached
from replay.log import PartitionLog
from replay.span import keyframes, locate
from training.contract import Detector, ModelError
from vision.decoder import CorruptAccessUnit, GopDecoder
from vision.letterbox import Letterbox

Pixels = NDArray[np.uint8]
Clips = Annotated[list[Path] | None, typer.Option("--clip", help="Pictures: a video file. Repeatable.")]
Cameras = Annotated[
    list[str] | None, typer.Option("--camera", help="Pictures: keyframes of a camera's log. Repeatable.")
]
From = Annotated[str, typer.Option("--from", help=f"Of the log: {FORMS}.")]
To = Annotated[str, typer.Option("--to", help="Likewise.")]
_ROOM: Final = 2


def of_all(
    clips: Sequence[Path], cameras: Sequence[str], start: str, end: str, detector: Detector, count: int
) -> list[Pixels]:
    """Of each source, `count` together. Raises ModelError, LogGoneError, LogSilentError, and ValueError for what is no
    video."""
    if not clips and not cameras:
        raise ModelError("no pictures: say --clip FILE, or --camera with --from and --to")
    if cameras and not (start and end):
        raise ModelError("--camera wants --from and --to")
    each = max(1, count // (len(clips) + len(cameras)))
    sources = [of_clip(clip, detector, each) for clip in clips]
    if cameras:
        kafka, times = reached().kafka, (nanoseconds(start, "--from"), nanoseconds(end, "--to"))
        sources += [of_log(kafka, camera, *times, detector, each) for camera in cameras]
    return sources


def of_clip(path: Path, detector: Detector, count: int) -> Pixels:
    """At most `count` pictures [n, H, W, 3], evenly spread. Raises ValueError for what is no video."""
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise ValueError(f"{path}: no video in it")
            return _thinned(container.decode(container.streams.video[0]), detector, count)
    except (FFmpegError, OSError) as error:
        raise ValueError(f"{path}: {error}") from error


def of_log(bootstrap: str, camera: str, from_ns: int, to_ns: int, detector: Detector, count: int) -> Pixels:
    """The camera's keyframes, likewise; those that cannot be decoded are left out. Raises LogGoneError,
    LogSilentError."""
    return _thinned(_keyframes(bootstrap, camera, from_ns, to_ns), detector, count)


def _keyframes(bootstrap: str, camera: str, from_ns: int, to_ns: int) -> Iterator[av.VideoFrame]:
    span = locate(bootstrap, camera, from_ns, to_ns)
    with PartitionLog(bootstrap, span.topic, span.partition) as log:
        for _, _, unit in keyframes(log, span.keyframe_offset, camera):
            if unit.captured_ns >= to_ns:
                return
            decoder = GopDecoder(unit.codec)
            try:
                yield from (picture.frame for picture in [*decoder.decode(unit), *decoder.flush()])
            except CorruptAccessUnit:
                continue


def _thinned(frames: Iterable[av.VideoFrame], detector: Detector, count: int) -> Pixels:
    """Nobody knows how many come: whenever there are twice as many as wanted, every second goes, and from then on only
    every second is looked at."""
    box = Letterbox(detector.width, detector.height, detector.letterbox, detector.pad)
    kept: list[Pixels] = []
    step = 1
    for number, frame in enumerate(frames):
        if number % step:
            continue
        out = np.empty((detector.height, detector.width, 3), np.uint8)
        box.from_frame(frame, out)
        kept.append(out)
        if len(kept) == _ROOM * count:
            kept, step = kept[::2], 2 * step
    chosen = [kept[number * len(kept) // count] for number in range(count)] if len(kept) > count else kept
    return np.array(chosen, np.uint8).reshape(-1, detector.height, detector.width, 3)

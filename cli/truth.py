"""What really happened in front of a camera that shows a simulated clip, by the clock of its log."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from cli.demo.alignment import frames_of, picture_digest
from replay.log import PartitionLog
from replay.scoring import Occurrence
from replay.span import Span, locate
from replay.units import units_of
from schemas.messages import AccessUnit
from simulator.clip import truth_path
from simulator.record import ClipHeader, read_truth
from simulator.truth import Truth


def truth_of_log(bootstrap: str, camera: str, clip: Path, from_ns: int, to_ns: int) -> list[Occurrence]:
    """`clip` has its truth beside it; its frames are known again by their bytes, as often as they were sent. Blocks.

    Raises TruthError or OSError for a clip without truth, LogGoneError, LogSilentError, and ValueError when the log
    shows none of it.
    """
    header, frames = read_truth(truth_path(clip))
    span = locate(bootstrap, camera, from_ns, to_ns)
    shown = frames_of(clip)
    pairs = [
        (unit.captured_ns, shown[digest])
        for unit in _units(bootstrap, span)
        if from_ns <= unit.captured_ns < to_ns and (digest := picture_digest(unit.data, unit.codec)) in shown
    ]
    if not pairs:
        raise ValueError(f"{clip}: not a frame of it is in the log of camera {camera} at that time")
    return list(true_occurrences(camera, header, frames, sorted(pairs)))


def true_occurrences(
    camera: str, header: ClipHeader, truth: Iterable[Truth], pairs: Sequence[tuple[int, int]]
) -> Iterable[Occurrence]:
    """Every event of the clip as often as its frame was sent. `pairs`: capture time in ns and frame number."""
    fps = header.geometry.fps
    by_frame = defaultdict(list)
    for seen in truth:
        for event in seen.events:
            if event.box_time_s is not None:
                by_frame[int(event.box_time_s * fps)].append(event)
    for captured_ns, number in pairs:
        for event in by_frame.get(number, ()):
            assert event.box_time_s is not None
            seconds = captured_ns / 1e9 + event.box_time_s - number / fps
            yield Occurrence((camera, event.kind, event.rule, event.direction), seconds)


def _units(bootstrap: str, span: Span) -> Iterator[AccessUnit]:
    with PartitionLog(bootstrap, span.topic, span.partition) as log:
        for records in log.read(span.keyframe_offset):
            for _, unit in units_of(records, span.camera):
                if unit.keyframe and unit.captured_ns >= span.to_ns:
                    return
                yield unit

"""Renders a scene into a clip or live stream with its truth beside it."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import msgspec

from simulator.encoder import TIME_BASE, Encoder, Encoding
from simulator.record import FORMAT, ClipHeader, TruthWriter
from simulator.scene import Scene, SceneError
from simulator.spec import analysis_yaml
from simulator.truth import EventTruth

#: The longest clip, seconds; a day.
LONGEST = 86_400.0


class ClipReport(msgspec.Struct, frozen=True):
    """What was rendered: counts, the scene's events, and how long rendering took (seconds of the wall clock)."""

    clip: str
    truth: str | None
    frames: int
    seconds: float
    objects: int
    tracks: dict[str, int]
    violations: int
    crossings: dict[str, int]
    elapsed: float


def truth_path(clip: Path) -> Path:
    """Where a clip's truth lies: clip.mp4 -> clip.truth.jsonl."""
    return clip.with_suffix(".truth.jsonl")


def render_clip(
    scene: Scene,
    target: str | Path,
    seconds: float,
    encoding: Encoding | None = None,
    truth: Path | None = None,
    paced: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ClipReport:
    """Render `seconds` of a scene to a file or address; truth to `truth` if given.

    `paced` sends frames at their times instead of as fast as they render (a live target always is). `progress` is
    called with (frames done, frames in all). Raises SceneError, EncodeError, OSError.
    """
    if not 0 < seconds <= LONGEST or round(seconds * scene.fps) < 1:
        raise SceneError(f"{seconds} seconds: from one frame to {LONGEST:.0f} seconds can be rendered")
    total = round(seconds * scene.fps)
    encoding = encoding or Encoding()
    labels: dict[int, str] = {}
    events: list[EventTruth] = []
    objects = 0
    started = time.monotonic()
    with ExitStack() as stack:
        # Entered first, so closed last: no truth appears for a clip that could not be finished.
        writer = None
        encoder = Encoder(target, scene.width, scene.height, scene.fps, encoding)
        if truth:
            header = ClipHeader(
                format=FORMAT,
                codec=encoding.codec,
                time_base=(TIME_BASE.numerator, TIME_BASE.denominator),
                gop_frames=encoder.gop_frames,
                geometry=scene.geometry,
                analysis=analysis_yaml(scene.geometry),
            )
            try:
                writer = stack.enter_context(TruthWriter(truth, header))
            except OSError:
                encoder.discard()
                raise
        stack.enter_context(encoder)
        for number in range(total):
            picture, seen = scene.frame()
            if paced or encoder.live:
                time.sleep(max(0.0, started + number / scene.fps - time.monotonic()))
            seen = msgspec.structs.replace(seen, pts=encoder.write(picture))
            if writer:
                writer.write(seen)
            objects += len(seen.objects)
            labels.update((o.track, o.label) for o in seen.objects)
            events.extend(seen.events)
            if progress:
                progress(number + 1, total)
    tracks: dict[str, int] = {}
    for label in labels.values():
        tracks[label] = tracks.get(label, 0) + 1
    crossings: dict[str, int] = {}
    for event in events:
        if event.kind == "line_crossed":
            crossings[event.rule] = crossings.get(event.rule, 0) + 1
    return ClipReport(
        clip=str(target),
        truth=str(truth) if truth else None,
        frames=total,
        seconds=total / scene.fps,
        objects=objects,
        tracks=dict(sorted(tracks.items())),
        violations=sum(event.kind == "red_light" for event in events),
        crossings=dict(sorted(crossings.items())),
        elapsed=round(time.monotonic() - started, 3),
    )

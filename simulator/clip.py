"""Renders a scene into a clip or live stream with its truth beside it."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from simulator.encoder import TIME_BASE, Encoder, Encoding
from simulator.film import Film, FilmError, shoot
from simulator.record import FORMAT, ClipHeader
from simulator.scene import Scene, SceneError
from simulator.spec import analysis_yaml
from simulator.truth import EventTruth, Truth


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
    encoding = encoding or Encoding()
    labels: dict[int, str] = {}
    events: list[EventTruth] = []
    objects = 0

    def header(encoder: Encoder) -> ClipHeader:
        return ClipHeader(
            format=FORMAT,
            codec=encoding.codec,
            time_base=(TIME_BASE.numerator, TIME_BASE.denominator),
            gop_frames=encoder.gop_frames,
            geometry=scene.geometry,
            analysis=analysis_yaml(scene.geometry),
        )

    def watch(seen: Truth) -> None:
        nonlocal objects
        objects += len(seen.objects)
        labels.update((o.track, o.label) for o in seen.objects)
        events.extend(seen.events)

    film = Film(target, seconds, encoding, truth, paced, progress)
    try:
        frames, elapsed = shoot(scene, film, header, watch)
    except FilmError as error:
        raise SceneError(str(error)) from error
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
        frames=frames,
        seconds=frames / scene.fps,
        objects=objects,
        tracks=dict(sorted(tracks.items())),
        violations=sum(event.kind == "red_light" for event in events),
        crossings=dict(sorted(crossings.items())),
        elapsed=elapsed,
    )

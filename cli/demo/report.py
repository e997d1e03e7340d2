"""What the log, the store and the listener say of a run, as one object; and what is wrong with it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from cli.collect import Record
from cli.demo.alignment import captured_frames, frames_of
from cli.demo.clips import Clip
from cli.ledger import ledgers
from cli.truth import true_occurrences
from replay.pairing import JUDGED, WARM_UP_SECONDS
from replay.scoring import Occurrence, Score, score
from schemas.ledger import Frames
from schemas.topics import DETECTIONS, EVENTS, FRAMES

STAGES: Final = ("transport", "queue", "decode", "infer", "step", "total")


def frames_by_camera(records: Iterable[Record]) -> dict[str, Frames]:
    """Sums of the ledger."""
    return {camera: ledger.frames() for camera, ledger in ledgers(records).items()}


def unreconciled(frames: Frames) -> str:
    """Why the sums do not add up; empty when they do."""
    if frames.received != frames.published + frames.lost:
        return f"received {frames.received} is not published {frames.published} + lost {frames.lost}"
    if frames.published != frames.decoded + frames.failed:
        return f"published {frames.published} is not decoded {frames.decoded} + failed {frames.failed}"
    if frames.decoded != frames.inferred + frames.skipped:
        return f"decoded {frames.decoded} is not inferred {frames.inferred} + skipped {frames.skipped}"
    return ""


def percentiles(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    return {f"p{at}": round(float(np.percentile(values, at)), 2) for at in (50, 95, 99)}


def latency(records: Iterable[Record]) -> dict[str, Any]:
    """Milliseconds from capture to the publication of a frame's detections and events, as their headers tell."""
    stages: dict[str, list[float]] = defaultdict(list)
    for record in records:
        if record.topic == DETECTIONS.name and "timing" in record.headers:
            for stage, value in msgspec.json.decode(record.headers["timing"]).items():
                stages[stage].append(value)
    return {
        **percentiles(stages["total"]),
        "stages": {stage: percentiles(stages[stage]) for stage in STAGES if stage != "total"},
    }


def scores(records: Sequence[Record], clips: Sequence[Clip]) -> dict[tuple[Any, ...], Score]:
    """By (camera, kind, rule, direction)."""
    found: list[Occurrence] = []
    truth: list[Occurrence] = []
    frames = [record for record in records if record.topic == FRAMES.name]
    for clip in clips:
        camera = clip.view.camera
        pairs = captured_frames(frames, camera, frames_of(clip.path))
        if not pairs:
            continue
        begin, end = pairs[0][0] / 1e9 + WARM_UP_SECONDS, pairs[-1][0] / 1e9
        truth += [o for o in true_occurrences(camera, clip.header, clip.truth, pairs) if begin <= o.seconds <= end]
        for record in records:
            if record.topic == EVENTS.name and record.key == camera.encode():
                event = record.json()
                if event["kind"] in JUDGED:
                    seconds = event["details"].get("crossed_ns", event["captured_ns"]) / 1e9
                    if begin <= seconds <= end:
                        direction = event["details"].get("direction", "forward")
                        found.append(Occurrence((camera, event["kind"], event["rule"], direction), seconds))
    return score(found, truth)

"""One message of every type, used in the AsyncAPI document and as the meaning of the golden bytes of version 1.

They are as fixed as those bytes: a new field gets a new example, an old example is never edited.
"""

import hashlib
from typing import Final

import msgspec

from schemas.analysis import Analysis, CameraSpec, LineRule, RedLightRule, Signal, Source, ZoneRule
from schemas.messages import (
    AccessUnit,
    AnalysisLedger,
    Box,
    Checkpoint,
    Detections,
    End,
    EndLedger,
    Event,
    FailedWindow,
    Flow,
    Gap,
    Heartbeat,
    IngestLedger,
    LogRecord,
    Provenance,
    ReplayRequest,
    ReplayState,
    ShadowWanted,
)
from schemas.results import Result

_CAMERA: Final = "junction-north"
_SESSION: Final = "01JD4Z9M6Q"
_CAPTURED_NS: Final = 1_763_704_800_123_456_789
_SECOND: Final = 1_000_000_000

ANALYSIS: Final = Analysis(
    min_score=0.1,
    sample_fps=12.5,
    labels=("car", "van", "person"),
    signals=(Signal(name="north", region=(0.81, 0.05, 0.84, 0.16)),),
    rules=(
        LineRule(name="stop-line", start=(0.1, 0.62), end=(0.9, 0.62), direction="forward"),
        ZoneRule(name="crossing", polygon=((0.1, 0.7), (0.9, 0.7), (0.9, 0.8)), labels=("person",), dwell_seconds=2.0),
        RedLightRule(name="red", signal="north", start=(0.1, 0.62), end=(0.9, 0.62), labels=("car", "van")),
    ),
)
_ANALYSIS_JSON: Final = msgspec.json.encode(ANALYSIS)

_PROVENANCE: Final = Provenance(
    topic="frames",
    partition=7,
    keyframe_offset=4200,
    first_offset=4200,
    last_offset=4212,
    model="junction-yolo",
    model_version="1",
    config=hashlib.sha256(_ANALYSIS_JSON).hexdigest()[:12],
)
_BOX: Final = Box(label="car", score=0.873, x1=412.25, y1=300.5, x2=518.0, y2=377.75, track="1763704799003456789-2")

CAMERA: Final = CameraSpec(
    id=_CAMERA,
    source=Source(url="rtsp://192.0.2.10:8554/north"),
    analysis=ANALYSIS,
    labels={"site": "harbour"},
)

RECORDS: Final[dict[str, LogRecord]] = {
    "keyframe": AccessUnit(
        camera=_CAMERA,
        session=_SESSION,
        gop=17,
        index=0,
        keyframe=True,
        codec="h264",
        pts=1_530_000,
        time_base=(1, 90_000),
        width=1920,
        height=1080,
        captured_ns=_CAPTURED_NS,
        data=bytes.fromhex("00000001674d40280000000168ee3c80000000016588840a"),
        analysis=_ANALYSIS_JSON,
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ),
    "delta": AccessUnit(
        camera=_CAMERA,
        session=_SESSION,
        gop=17,
        index=1,
        keyframe=False,
        codec="hevc",
        pts=-3600,
        time_base=(1001, 30_000),
        width=640,
        height=360,
        captured_ns=_CAPTURED_NS + 40_000_000,
        data=bytes.fromhex("000000010201d0097e"),
    ),
    "gap": Gap(
        camera=_CAMERA,
        session=_SESSION,
        reason="source stalled",
        from_ns=_CAPTURED_NS,
        to_ns=_CAPTURED_NS + 12 * _SECOND,
        lost=-1,
    ),
    "end": End(
        camera=_CAMERA,
        session=_SESSION,
        published=1500,
        error="truncated file",
        analysis=_ANALYSIS_JSON,
        captured_ns=_CAPTURED_NS + 60 * _SECOND,
    ),
}

RESULTS: Final[dict[str, Result]] = {
    "detections": Detections(
        camera=_CAMERA,
        captured_ns=_CAPTURED_NS,
        session=_SESSION,
        gop=17,
        pts=1_530_000,
        width=1920,
        height=1080,
        boxes=(_BOX, Box(label="person", score=0.41, x1=10.0, y1=700.25, x2=42.5, y2=790.0)),
        signals={"north": "red"},
        provenance=_PROVENANCE,
    ),
    "event": Event(
        id="5f0c1b1e-6a55-5d0e-9c84-0a52a0a4f0c7",
        camera=_CAMERA,
        kind="red_light",
        rule="red",
        captured_ns=_CAPTURED_NS,
        track=_BOX.track,
        label="car",
        box=_BOX,
        details={"signal": "north", "red_for_seconds": 3.25, "lane": 2},
        provenance=_PROVENANCE,
        revision=1,
    ),
    "event-without-track": Event(
        id="0d9c7f3f-74a5-5a7b-8a1f-5f8b6a0d6a11",
        camera=_CAMERA,
        kind="gap",
        rule="",
        captured_ns=_CAPTURED_NS,
        track=None,
        label=None,
        box=None,
        details={"reason": "source stalled", "lost": -1},
        provenance=_PROVENANCE,
    ),
    "flow": Flow(
        camera=_CAMERA,
        line="stop-line",
        minute_ns=_CAPTURED_NS // (60 * _SECOND) * 60 * _SECOND,
        label="car",
        direction="forward",
        count=14,
        mean_speed=11.43,
        provenance=_PROVENANCE,
    ),
    "ingest-ledger": IngestLedger(
        camera=_CAMERA, session=_SESSION, gop=17, captured_ns=_CAPTURED_NS, received=25, published=25, lost=0
    ),
    "analysis-ledger": AnalysisLedger(
        camera=_CAMERA,
        session=_SESSION,
        gop=17,
        captured_ns=_CAPTURED_NS,
        consumed=25,
        decoded=24,
        inferred=12,
        skipped=12,
        failed=1,
        topic="frames",
        partition=7,
        keyframe_offset=4200,
        reason="corrupt access unit",
    ),
    "end-ledger": EndLedger(camera=_CAMERA, session=_SESSION, published=1500, captured_ns=_CAPTURED_NS + 60 * _SECOND),
    "failed-window": FailedWindow(
        camera=_CAMERA,
        session=_SESSION,
        gop=17,
        topic="frames",
        partition=7,
        keyframe_offset=4200,
        first_offset=4205,
        last_offset=4224,
        reason="corrupt access unit",
    ),
    "shed-window": FailedWindow(
        camera=_CAMERA,
        session=_SESSION,
        gop=17,
        topic="frames",
        partition=7,
        keyframe_offset=4200,
        first_offset=4200,
        last_offset=4200,
        reason="shed: every second frame",
        shed=True,
        state='{"tracker":{"tracks":[]}}',
        state_version=1,
    ),
    "checkpoint": Checkpoint(
        camera=_CAMERA,
        topic="frames",
        partition=7,
        offset=4225,
        state_version=1,
        state='{"tracker":{"tracks":[]}}',
        ledger={"consumed": 450, "decoded": 449, "failed": 1},
    ),
    "checkpoint-resumed": Checkpoint(
        camera=_CAMERA,
        topic="frames",
        partition=7,
        offset=4225,
        state_version=2,
        state='{"tracker":{"tracks":[]}}',
        ledger={},
        resumes=1,
    ),
    "checkpoint-ended": Checkpoint(
        camera=_CAMERA, topic="frames", partition=7, offset=4226, state_version=2, state="", ledger={}, ended=True
    ),
    "heartbeat": Heartbeat(
        process="worker-1",
        role="worker",
        host="node-a",
        pid=4711,
        cameras=(_CAMERA,),
        details={"partitions": "3,7", "lag": 2},
    ),
    "replay-request": ReplayRequest(
        id="replay-7f1d2c",
        camera=_CAMERA,
        from_ns=_CAPTURED_NS,
        to_ns=_CAPTURED_NS + 300 * _SECOND,
        kind="replay",
        changes={"model": "yolox-nano"},
        into="last-night",
        speed=2.0,
    ),
    "replay-request-shadow": ReplayRequest(
        id="replay-8a2e3d",
        camera=_CAMERA,
        from_ns=_CAPTURED_NS,
        to_ns=_CAPTURED_NS + 3600 * _SECOND,
        kind="shadow",
        shadow=ShadowWanted("yolox-nano", "yolov8n:2", 30.0, 7),
    ),
    "replay-state": ReplayState(
        id="replay-7f1d2c",
        state="done",
        captured_seconds=300.0,
        frames=3750,
        report={"camera": _CAMERA, "frames": 3750, "cold": True, "published": 3812},
    ),
}

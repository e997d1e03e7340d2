"""Results on the wire: JSON values, CloudEvents 1.0 headers in Kafka's binary mode (prefix `ce_`).

Spec: CloudEvents, Kafka Protocol Binding 1.0.2, section 3.2 (binary content mode).
"""

import hashlib
from datetime import UTC, datetime
from typing import Final

import msgspec

from schemas.messages import (
    AnalysisLedger,
    Checkpoint,
    Detections,
    EndLedger,
    Event,
    FailedWindow,
    Flow,
    Heartbeat,
    IngestLedger,
    ReplayRequest,
    ReplayState,
)
from schemas.topics import (
    CHECKPOINTS,
    DETECTIONS,
    EVENTS,
    FAILED_WINDOWS,
    FLOW,
    HEARTBEATS,
    LEDGER,
    REPLAYS,
    Topic,
)

Result = (
    Detections
    | Event
    | Flow
    | IngestLedger
    | AnalysisLedger
    | EndLedger
    | FailedWindow
    | Checkpoint
    | Heartbeat
    | ReplayRequest
    | ReplayState
)

_TOPIC_OF: Final[dict[type, Topic]] = {
    Detections: DETECTIONS,
    Event: EVENTS,
    Flow: FLOW,
    IngestLedger: LEDGER,
    AnalysisLedger: LEDGER,
    EndLedger: LEDGER,
    FailedWindow: FAILED_WINDOWS,
    Checkpoint: CHECKPOINTS,
    Heartbeat: HEARTBEATS,
    ReplayRequest: REPLAYS,
    ReplayState: REPLAYS,
}

_HOUSES: Final[dict[type, str]] = {Heartbeat: "processes", ReplayRequest: "replays", ReplayState: "replays"}

_encoder = msgspec.json.Encoder(order="deterministic")


def topic_of(message: Result) -> Topic:
    return _TOPIC_OF[type(message)]


def key_of(message: Result) -> bytes:
    match message:
        case Heartbeat():
            return message.process.encode()
        case ReplayRequest() | ReplayState():
            return message.id.encode()
        case _:
            return message.camera.encode()


def to_json(message: Result) -> bytes:
    return _encoder.encode(message)


def retracted(message: Result) -> bool:
    """Whether looking again has taken it back: its last revision says that it never happened."""
    match message:
        case Event():
            return "retracted" in message.details
        case Flow():
            return message.count == 0
        case _:
            return False


def identity(message: Result) -> str:
    """What stays the same when the message is published again: sinks replace by it and the highest revision."""
    match message:
        case Detections():
            return f"{message.camera}/{message.captured_ns}"
        case Event():
            return message.id
        case Flow():
            return f"{message.camera}/{message.line}/{message.minute_ns}/{message.label}/{message.direction}"
        case IngestLedger():
            return f"{message.camera}/{message.session}/{message.gop}/ingest"
        case AnalysisLedger():
            return f"{message.camera}/{message.session}/{message.gop}/analysis"
        case EndLedger():
            return f"{message.camera}/{message.session}/end"
        case FailedWindow():
            return f"{message.topic}/{message.partition}/{message.keyframe_offset}/{message.attempt}"
        case Checkpoint():
            return f"{message.camera}/{message.offset}"
        case Heartbeat():
            return message.process
        case ReplayRequest():
            return f"{message.id}/{'cancelled' if message.cancelled else 'wanted'}"
        case ReplayState():
            return f"{message.id}/{message.state}/{message.frames}"


def headers_of(message: Result, traceparent: str | None = None) -> list[tuple[str, bytes]]:
    """CloudEvents attributes. `ce_time` is the capture time, so it is the same in every run."""
    kind = type(message).__name__.lower()
    revision = getattr(message, "revision", 0)
    house = _HOUSES.get(type(message), "cameras")
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_type", f"rewatch.{kind}.v1".encode()),
        ("ce_source", f"/{house}/{key_of(message).decode()}".encode()),
        ("ce_id", f"{identity(message)}#{revision}".encode()),
        ("content-type", b"application/json"),
    ]
    captured = getattr(message, "captured_ns", None)
    if captured is not None:
        headers.append(("ce_time", rfc3339(captured).encode()))
    if traceparent is not None:
        headers.append(("traceparent", traceparent.encode()))
    return headers


def rfc3339(ns: int) -> str:
    """UTC, to the microsecond."""
    seconds, rest = divmod(ns, 1_000_000_000)
    # without its zone; a pattern would take half as long again
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:19]}.{rest // 1000:06d}Z"


def config_hash(analysis: bytes) -> str:
    return hashlib.sha256(analysis).hexdigest()[:12]

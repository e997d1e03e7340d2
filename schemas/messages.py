"""Every message that crosses a topic. Values hold no wall-clock reading: the same log gives the same bytes."""

from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

Codec = Literal["h264", "hevc"]

SHED: Final = "shed: "
"""how the reason of a GOP begins that was not analysed whole because there was too much to do"""
COLD: Final = "cold start: "
"""and of one that is whole, but from which on nothing is known of what was seen before"""


class AccessUnit(Struct, frozen=True):
    """One compressed picture, in Annex B, in decode order. Keyframes carry their parameter sets."""

    camera: str
    session: str
    """ingest session: pts and GOP numbers are comparable only within one"""
    gop: int
    index: int
    """position in the GOP in decode order; 0 is the keyframe"""
    keyframe: bool
    codec: Codec
    pts: int
    time_base: tuple[int, int]
    """seconds per tick of pts, as numerator and denominator"""
    width: int
    height: int
    captured_ns: int
    data: bytes
    analysis: bytes | None = None
    """on keyframes: the camera's Analysis as JSON"""
    traceparent: str | None = None


class Gap(Struct, frozen=True):
    """The log has a hole here. The next record of this camera is a keyframe of a session or GOP of its own."""

    camera: str
    session: str
    reason: str
    from_ns: int
    to_ns: int
    lost: int
    """access units known to be lost; -1 when nobody can know"""


class End(Struct, frozen=True):
    """Nothing follows: a file was read to its end, or the camera was removed."""

    camera: str
    session: str
    published: int
    error: str = ""
    """why the source could not be read further; empty: a proper end"""
    analysis: bytes | None = None
    captured_ns: int = 0


LogRecord = AccessUnit | Gap | End


class Provenance(Struct, frozen=True):
    """Where a result comes from: enough to derive it again."""

    topic: str
    partition: int
    keyframe_offset: int
    first_offset: int
    last_offset: int
    model: str
    model_version: str
    config: str
    """first 12 hex digits of the SHA-256 of the Analysis JSON that the keyframe carries"""


class Box(Struct, frozen=True):
    """x1, y1, x2, y2 in pixels of the camera's picture, to 0.01."""

    label: str
    score: float
    x1: float
    y1: float
    x2: float
    y2: float
    track: str | None = None


class Detections(Struct, frozen=True):
    """All boxes of one inferred frame. Identity: camera, captured_ns."""

    camera: str
    captured_ns: int
    session: str
    gop: int
    pts: int
    width: int
    height: int
    boxes: tuple[Box, ...]
    signals: dict[str, str]
    provenance: Provenance
    revision: int = 0


class Event(Struct, frozen=True):
    """Something happened. `id` is a UUIDv5 of camera, rule and the facts that opened the event."""

    id: str
    camera: str
    kind: str
    """line_crossed, zone_entered, red_light, activity, gap, end"""
    rule: str
    captured_ns: int
    track: str | None
    label: str | None
    box: Box | None
    details: dict[str, str | float | int]
    provenance: Provenance
    revision: int = 0


class Flow(Struct, frozen=True):
    """What crossed one line in one minute of capture time. Identity: camera, line, minute, label, direction."""

    camera: str
    line: str
    minute_ns: int
    label: str
    direction: Literal["forward", "backward"]
    count: int
    mean_speed: float | None
    """metres per second; null without ground points"""
    provenance: Provenance
    revision: int = 0


class IngestLedger(Struct, frozen=True, tag="ingest", tag_field="stage"):
    """One GOP as the edge saw it: received = published + lost."""

    camera: str
    session: str
    gop: int
    captured_ns: int
    received: int
    published: int
    lost: int
    reason: str = ""


class AnalysisLedger(Struct, frozen=True, tag="analysis", tag_field="stage"):
    """One GOP as the worker saw it: consumed = decoded + failed, decoded = inferred + skipped. Of a shed GOP what was
    skipped need not have been decoded."""

    camera: str
    session: str
    gop: int
    captured_ns: int
    consumed: int
    decoded: int
    inferred: int
    skipped: int
    failed: int
    topic: str
    partition: int
    keyframe_offset: int
    reason: str = ""
    revision: int = 0

    @property
    def shed(self) -> bool:
        """The worker could not keep up and left frames out, for later."""
        return self.reason.startswith(SHED)


class EndLedger(Struct, frozen=True, tag="end", tag_field="stage"):
    """The worker has analysed everything up to a source's end; all earlier results are published."""

    camera: str
    session: str
    published: int
    error: str = ""
    captured_ns: int = 0
    """capture time of the `end` record; 0 where an older writer did not say"""


LedgerEntry = IngestLedger | AnalysisLedger | EndLedger


class FailedWindow(Struct, frozen=True):
    """A GOP that could not be analysed to its end. Each attempt to do it later that fails says so once more.

    A GOP of which a worker leaves frames out, because it cannot keep up, is said in advance, with `shed`.
    """

    camera: str
    session: str
    gop: int
    topic: str
    partition: int
    keyframe_offset: int
    first_offset: int
    last_offset: int
    reason: str
    attempt: int = 0
    """0: live; then the replayer's"""
    given_up: bool = False
    """nothing will try again by itself"""
    shed: bool = False
    """for later; `last_offset` is how far it was looked at so far"""
    state: str = ""
    """of a shed window: the chain's state in front of `last_offset`, as in a checkpoint; empty: see the checkpoints"""
    state_version: int = 0


class Checkpoint(Struct, frozen=True):
    """The chain's state in front of the keyframe at `offset`; every earlier output is acknowledged."""

    camera: str
    topic: str
    partition: int
    offset: int
    state_version: int
    state: str
    """JSON of the chain's state"""
    ledger: dict[str, int]
    resumes: int = 0
    """workers that began here again and came neither to the next checkpoint nor to a proper end"""
    ended: bool = False
    """the source's end was the record in front of it: nothing is to be resumed, only not to be done again"""


class Heartbeat(Struct, frozen=True):
    process: str
    role: str
    host: str
    pid: int
    cameras: tuple[str, ...]
    details: dict[str, str | float | int]


class ShadowWanted(Struct, frozen=True):
    """Two models that shall look at the same frames; each a served one, or one version of it: NAME:2."""

    a: str
    b: str
    window_seconds: float = 60.0
    """that are compared as one"""
    seed: int = 0
    """of the permutations that are drawn"""


class ReplayRequest(Struct, frozen=True, tag="request", tag_field="entry"):
    """Somebody wants a stretch of a camera's log looked at again. Identity: id; the last one counts."""

    id: str
    camera: str
    from_ns: int
    to_ns: int
    kind: Literal["replay", "backtest", "shadow"] = "replay"
    """a backtest publishes no results; neither do two models in the shadow"""
    changes: dict[str, Any] = msgspec.field(default_factory=dict)
    """fields of the camera's Analysis that shall be other; none: as it was"""
    into: str = ""
    """the topic that gets everything that comes out; empty: differences are published as revisions"""
    speed: float | None = None
    """times the pace of the capture; null: as fast as it goes"""
    even_cold: bool = False
    """publish revisions although no checkpoint was left to start from"""
    cancelled: bool = False
    """nobody wants it any more"""
    shadow: ShadowWanted | msgspec.UnsetType = msgspec.UNSET
    """of the kind `shadow`; unset: not a byte of the record"""


class ReplayState(Struct, frozen=True, tag="state", tag_field="entry"):
    """How far a requested replay is. Identity: id; the last one counts."""

    id: str
    state: Literal["running", "done", "failed", "cancelled"]
    captured_seconds: float = 0.0
    """of the capture that have been looked at"""
    frames: int = 0
    reason: str = ""
    """why it failed"""
    report: dict[str, Any] | None = None
    """what was found, once it is done"""


ReplayEntry = ReplayRequest | ReplayState

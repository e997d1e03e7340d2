"""What the REST interface answers. Pydantic here, so that OpenAPI can describe it."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Problem(BaseModel):
    detail: str = Field(description="what is wrong, in words", examples=["from: 'yesterday' is no point in time"])


class Latency(BaseModel):
    p50: float = Field(description="milliseconds from capture to result", examples=[84.0])
    p95: float = Field(examples=[131.0])


class GapInfo(BaseModel):
    captured_ns: int
    reason: str = Field(examples=["stalled"])
    lost: int | None = Field(default=None, description="access units known to be lost; null or -1: nobody can know")


class CameraInfo(BaseModel):
    id: str = Field(examples=["junction-north"])
    source: str | None = Field(
        default=None, description="address without credentials", examples=["rtsp://***@cam-1/stream"]
    )
    labels: dict[str, str] = {}
    batch: bool = Field(default=False, description="an uploaded file")
    state: Literal["online", "dark", "ended", "unknown"] = Field(
        description="dark: no frame for longer than `dark_after_seconds`; unknown: no frame seen since the start"
    )
    dark_after_seconds: float
    last_frame: str | None = Field(default=None, description="capture time of the newest frame, RFC 3339")
    last_frame_ns: int | None = None
    width: int | None = Field(default=None, examples=[1920])
    height: int | None = Field(default=None, examples=[1080])
    codec: str | None = Field(default=None, examples=["h264"])
    fps: float = Field(description="analysed frames per second over the last ten seconds", examples=[15.0])
    source_fps: float | None = Field(default=None, description="frames per second that the camera delivers")
    latency_ms: Latency | None = Field(default=None, description="over the last minute; null without results")
    lag_seconds: float | None = Field(default=None, description="age of the newest analysed frame")
    last_gap: GapInfo | None = None
    signals: dict[str, str] = Field(default={}, description="state of each traffic light", examples=[{"north": "red"}])
    model: str | None = Field(default=None, examples=["junction-yolo"])
    model_version: str | None = None
    error: str | None = Field(default=None, description="why an ended source could not be read further")
    processes: dict[str, float] = Field(
        {}, description="role -> seconds since a process with this camera was last heard of", examples=[{"ingest": 1.2}]
    )
    rules: list[dict[str, Any]] = Field(default=[], description="the rules as configured, positions as fractions")


class CameraList(BaseModel):
    cameras: list[CameraInfo]


class Page(BaseModel):
    next: str = Field(description="cursor of the following page; also taken by the WebSocket of the same topic")
    more: bool = Field(description="whether the log went on after this page when it was read")


class EventPage(Page):
    events: list[dict[str, Any]]


class DetectionsPage(Page):
    detections: list[dict[str, Any]]


class FlowPage(Page):
    flow: list[dict[str, Any]]


class FrameSums(BaseModel):
    received: int = 0
    published: int = 0
    decoded: int = 0
    inferred: int = 0
    skipped: int = 0
    failed: int = 0
    lost: int = 0


class CameraSums(BaseModel):
    camera: str
    frames: FrameSums
    unread: int = Field(description="published access units that no worker has accounted for yet")
    reconciles: bool = Field(
        description="by GOP: received = published + lost, published = decoded + failed, decoded = inferred + skipped"
    )


class LedgerSums(BaseModel):
    cameras: list[CameraSums]
    complete: bool = Field(description="false: the time or the memory allowed ran out before the log's end")


class WindowInfo(BaseModel):
    state: str = Field(
        description="waiting, repaired, given up; shed, backfilled; behind: done, but not yet what was said after it"
    )
    window: dict[str, Any] = Field(description="the latest attempt, as on the topic `failed-windows`")


class WindowList(BaseModel):
    windows: list[WindowInfo]
    complete: bool = Field(description="false: the time or the memory allowed ran out before the log's end")


class ModelUsed(BaseModel):
    name: str = Field(examples=["yolox-nano"])
    version: str | None = Field(default=None, description="null when no frame was inferred", examples=["1"])


class JobLatency(BaseModel):
    p50: float
    p95: float
    p99: float


class AnalysisResult(BaseModel):
    job: str
    file: str
    frames: FrameSums
    tracks: dict[str, int] = Field(
        description="distinct tracks by class; a track's class is the one it had most often", examples=[{"car": 8}]
    )
    counts: dict[str, int] = Field(description="crossings of each line, both directions", examples=[{"stop-line": 8}])
    events: list[dict[str, Any]] = Field(description="the first 10 000; all of them: `GET /events?camera=<job>`")
    events_total: int
    flow: list[dict[str, Any]]
    model: ModelUsed
    latency_ms: JobLatency | None = Field(
        default=None,
        description="of the work on one frame: decoding, inference, rules, until its results are published",
    )
    error: str | None = Field(default=None, description="why the file could be read only in part")


class ModelList(BaseModel):
    models: list[str] | None = Field(description="null: no model server is configured, any name may do")


class JobAccepted(BaseModel):
    job: str = Field(examples=["job-0f6c…"])
    status_url: str = Field(examples=["/jobs/job-0f6c…"])
    state: str = "queued"


class Progress(BaseModel):
    published: int = Field(description="frames read from the file so far")
    analysed: int


class JobInfo(BaseModel):
    job: str
    file: str
    model: str
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    progress: Progress
    error: str | None = None
    result: AnalysisResult | None = None


class ReplayWanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    camera: str = Field(max_length=128, examples=["junction-north"])
    from_: str = Field(
        alias="from",
        max_length=64,
        description="capture time: RFC 3339, or a span before now, `-15m`",
        examples=["2026-03-01T12:00:00Z"],
    )
    to: str = Field(max_length=64, description="likewise; at most 24 hours later", examples=["2026-03-01T12:05:00Z"])
    kind: Literal["replay", "backtest", "shadow"] = Field(
        "replay", description="a backtest publishes no results; shadow: two models on the same frames, compared"
    )
    model: str | None = Field(
        None, max_length=80, description="another model; in the shadow also a version, NAME:2", examples=["yolox-nano"]
    )
    against: str | None = Field(
        None, max_length=80, description="in the shadow: what `model` is held against; absent: the camera's own"
    )
    window: float | None = Field(None, ge=1, le=86_400, description="in the shadow: seconds that are compared as one")
    seed: int | None = Field(None, ge=0, lt=2**63, description="in the shadow: of the permutations that are drawn")
    rules: list[dict[str, Any]] | dict[str, Any] | None = Field(
        None, description="other rules; or an object with whatever shall differ from the camera's Analysis"
    )
    into: str | None = Field(
        None, description="a topic of its own for everything that comes out; made if missing", examples=["last-night"]
    )
    speed: float | None = Field(
        None, ge=0.1, le=1000, description="times the pace of the capture; absent: as fast as it goes", examples=[1]
    )
    even_cold: bool = Field(False, description="publish although no checkpoint was left to start from")


class ReplayAccepted(BaseModel):
    id: str = Field(examples=["replay-0f6c…"])
    status_url: str = Field(examples=["/replays/replay-0f6c…"])
    state: str = "waiting"


class ReplayProgress(BaseModel):
    done: float = Field(description="0 to 1", examples=[0.42])
    frames: int
    times_real_time: float | None = Field(description="seconds of the capture in each second", examples=[3.5])


class ReplayInfo(BaseModel):
    model_config = ConfigDict(populate_by_name=True)

    id: str
    kind: Literal["replay", "backtest", "shadow"]
    camera: str
    from_: str = Field(alias="from")
    to: str
    changes: dict[str, Any] = Field(description="what differs from the camera's Analysis")
    shadow: dict[str, Any] | None = Field(None, description="which two models, in which windows")
    into: str | None
    speed: float | None
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    progress: ReplayProgress
    error: str | None = Field(default=None, description="why it failed")
    report: dict[str, Any] | None = Field(
        default=None,
        description="as `rewatch replay --json` or `rewatch ab shadow --json` prints it; of many events the last "
        "are left out",
    )


class ReplayList(BaseModel):
    replays: list[ReplayInfo]

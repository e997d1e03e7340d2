"""Every metric, declared once. Names follow Prometheus: base units, `_total` on counters."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry(auto_describe=True)

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0)

INGEST_RECEIVED = Counter(
    "rewatch_ingest_access_units_received_total", "Access units read from the source.", ["camera"], registry=REGISTRY
)
INGEST_PUBLISHED = Counter(
    "rewatch_ingest_access_units_published_total",
    "Access units that Kafka acknowledged.",
    ["camera"],
    registry=REGISTRY,
)
INGEST_LOST = Counter(
    "rewatch_ingest_access_units_lost_total",
    "Access units dropped, by reason.",
    ["camera", "reason"],
    registry=REGISTRY,
)
INGEST_BYTES = Counter("rewatch_ingest_bytes_total", "Bytes of access units published.", ["camera"], registry=REGISTRY)
INGEST_SESSIONS = Counter("rewatch_ingest_sessions_total", "Times a source was opened.", ["camera"], registry=REGISTRY)
INGEST_FAILURES = Counter(
    "rewatch_ingest_failures_total", "Times a source could not be opened or read.", ["camera"], registry=REGISTRY
)
INGEST_CONNECTED = Gauge(
    "rewatch_ingest_connected", "1 while packets arrive from the camera.", ["camera"], registry=REGISTRY
)
INGEST_QUEUE = Gauge(
    "rewatch_ingest_queue_access_units", "Access units waiting for Kafka.", ["camera"], registry=REGISTRY
)

WORKER_FRAMES = Counter(
    "rewatch_worker_frames_total",
    "Frames by outcome: decoded, inferred, skipped, failed.",
    ["camera", "outcome"],
    registry=REGISTRY,
)
WORKER_STAGE = Histogram(
    "rewatch_worker_stage_seconds",
    "Time of one frame in one stage: ingest, kafka, queue, decode, infer, step, total.",
    ["stage"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
WORKER_MODEL = Histogram(
    "rewatch_worker_model_seconds",
    "Time of one frame's inference, by the model and the version that answered; its waiting is in it.",
    ["model", "version"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
WORKER_LAG = Gauge(
    "rewatch_worker_lag_records", "Records of a partition not yet read.", ["topic", "partition"], registry=REGISTRY
)
WORKER_RETRIES = Counter(
    "rewatch_worker_retries_total", "Waits for a service that did not answer.", ["service"], registry=REGISTRY
)
WORKER_EVENTS = Counter("rewatch_worker_events_total", "Events by kind.", ["camera", "kind"], registry=REGISTRY)

WORKER_LATENCY = Gauge(
    "rewatch_worker_latency_seconds",
    "95th percentile of the last seconds, from the arrival in the log to the result.",
    ["camera"],
    registry=REGISTRY,
)
WORKER_SHED_LEVEL = Gauge(
    "rewatch_worker_shed_level",
    "What is left out for later: 0 nothing, 1 every second frame, 2 three of four, 3 all but keyframes.",
    ["camera"],
    registry=REGISTRY,
)
WORKER_SHED_FRAMES = Counter(
    "rewatch_worker_shed_frames_total",
    "Frames that the analysis asks for and that were left out for later.",
    ["camera"],
    registry=REGISTRY,
)

RECORD_POINTS = Counter(
    "rewatch_record_points_total", "Points written to the store.", ["measurement"], registry=REGISTRY
)
RECORD_RETRIES = Counter(
    "rewatch_record_retries_total", "Writes that the store did not take at once.", [], registry=REGISTRY
)
RECORD_SKIPPED = Counter(
    "rewatch_record_skipped_total",
    "Records that can't be stored: malformed, or refused by the store.",
    ["topic", "reason"],
    registry=REGISTRY,
)
RECORD_WAITING = Gauge("rewatch_record_waiting_records", "Records read and not yet stored.", registry=REGISTRY)
RECORD_STORE_UP = Gauge("rewatch_record_store_up", "1 while the store takes what it is given.", registry=REGISTRY)
RECORD_SECONDS = Histogram(
    "rewatch_record_write_seconds", "Time of one write of a batch.", buckets=_SECONDS, registry=REGISTRY
)
RECORD_LAG = Gauge(
    "rewatch_record_lag_records", "Records of a partition not yet read.", ["topic", "partition"], registry=REGISTRY
)

EXPERIMENT_ARM = Gauge(
    "rewatch_experiment_arm",
    "1 for each camera that takes part in a comparison of two models; from the gateway.",
    ["experiment", "arm", "camera", "model"],
    registry=REGISTRY,
)
GATEWAY_CLIENTS = Gauge("rewatch_gateway_websocket_clients", "Connected WebSocket clients.", registry=REGISTRY)
GATEWAY_SENT = Counter("rewatch_gateway_messages_total", "WebSocket messages sent.", registry=REGISTRY)
GATEWAY_DROPPED = Counter(
    "rewatch_gateway_clients_dropped_total", "Clients closed because they read too slowly.", registry=REGISTRY
)
GATEWAY_UPLOADS = Counter(
    "rewatch_gateway_uploads_total", "Uploads by outcome: taken, refused.", ["outcome"], registry=REGISTRY
)
WORKER_MALFORMED = Counter(
    "rewatch_worker_malformed_records_total",
    "Records that break the wire format, by header.",
    ["field"],
    registry=REGISTRY,
)
REPLAY_WINDOWS = Counter(
    "rewatch_replay_windows_total",
    "Attempts at failed windows by outcome: repaired, failed, given_up.",
    ["camera", "outcome"],
    registry=REGISTRY,
)
REPLAY_WAITING = Gauge(
    "rewatch_replay_waiting_windows",
    "Windows read that wait for their next attempt to be due, or for room.",
    registry=REGISTRY,
)
REPLAY_BACKFILLS = Counter(
    "rewatch_replay_backfills_total",
    "Looks at shed windows by outcome: backfilled, behind (the live state is not met yet), given_up.",
    ["camera", "outcome"],
    registry=REGISTRY,
)
REPLAY_REQUESTS = Counter(
    "rewatch_replay_requests_total",
    "Requested replays, backtests and shadows by outcome: done, failed, cancelled.",
    ["kind", "outcome"],
    registry=REGISTRY,
)

"""The topics, as constants. Nothing else names a topic."""

import re
from typing import Literal

from msgspec import Struct

PARTITIONS = 12
"""of every topic keyed by camera: the same number, so that one camera has one partition number everywhere"""

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class Topic(Struct, frozen=True):
    name: str
    partitions: int
    cleanup: Literal["delete", "compact"]
    retention_ms: int | None
    max_message_bytes: int
    content: str
    """the message types that a record's value holds"""
    stamped: Literal["by writer", "on arrival"] = "by writer"
    """what a record's timestamp is, and retention goes by"""


MAX_FRAME_BYTES = 16 * 1024 * 1024
MAX_RESULT_BYTES = 1024 * 1024

FRAMES = Topic("frames", PARTITIONS, "delete", 2 * DAY_MS, MAX_FRAME_BYTES, "access unit, gap, end")
# a file's capture times may lie long before the retention: by them its frames would be deleted before they are read
FRAMES_BATCH = Topic(
    "frames-batch", PARTITIONS, "delete", DAY_MS, MAX_FRAME_BYTES, "access unit, gap, end", stamped="on arrival"
)
DETECTIONS = Topic("detections", PARTITIONS, "delete", 7 * DAY_MS, MAX_RESULT_BYTES, "Detections")
EVENTS = Topic("events", PARTITIONS, "delete", 90 * DAY_MS, MAX_RESULT_BYTES, "Event")
FLOW = Topic("flow", PARTITIONS, "delete", 90 * DAY_MS, MAX_RESULT_BYTES, "Flow")
LEDGER = Topic("ledger", PARTITIONS, "delete", 30 * DAY_MS, MAX_RESULT_BYTES, "LedgerEntry")
FAILED_WINDOWS = Topic("failed-windows", PARTITIONS, "delete", 7 * DAY_MS, MAX_RESULT_BYTES, "FailedWindow")
# keyed by the replay's id
REPLAYS = Topic("replays", PARTITIONS, "delete", 7 * DAY_MS, MAX_RESULT_BYTES, "ReplayRequest, ReplayState")
CHECKPOINTS = Topic("checkpoints", PARTITIONS, "compact", None, MAX_RESULT_BYTES, "Checkpoint")
CAMERAS = Topic("cameras", 1, "compact", None, MAX_RESULT_BYTES, "CameraSpec")
HEARTBEATS = Topic("heartbeats", 1, "delete", HOUR_MS, MAX_RESULT_BYTES, "Heartbeat")

TOPICS = (
    FRAMES,
    FRAMES_BATCH,
    DETECTIONS,
    EVENTS,
    FLOW,
    LEDGER,
    FAILED_WINDOWS,
    REPLAYS,
    CHECKPOINTS,
    CAMERAS,
    HEARTBEATS,
)


def is_free(name: str) -> bool:
    """Whether a topic of this name is possible and none of those above, nor Kafka's own."""
    return re.fullmatch(r"[A-Za-z0-9.-][A-Za-z0-9._-]{0,248}", name) is not None and not (
        name in {topic.name for topic in TOPICS} or name in (".", "..")
    )

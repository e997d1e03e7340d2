"""Whether there is room for a backfill: what the workers have said of themselves in the last seconds."""

import time
from typing import Final

import msgspec

from replay.log import LogSilentError, PartitionLog
from schemas.messages import Heartbeat
from schemas.topics import HEARTBEATS

RECENT_SECONDS: Final = 15
"""three heartbeats: a worker that is only just well again, or has only just died, still counts"""


def crowded(bootstrap: str) -> str:
    """Which worker is over its latency budget or sheds; empty: none. Blocks."""
    try:
        with PartitionLog(bootstrap, HEARTBEATS.name, 0) as log:
            for records in log.read(log.at(int(time.time() - RECENT_SECONDS) * 1000)):
                for record in records:
                    if why := _says(record.value):
                        return why
    except LogSilentError as error:
        return str(error)
    return ""


def _says(value: bytes) -> str:
    try:
        heartbeat = msgspec.json.decode(value, type=Heartbeat)
    except msgspec.DecodeError:
        return ""
    told = heartbeat.details
    level, budget, latency = (told.get(name, 0) for name in ("shed_level", "latency_budget_ms", "latency_p95_ms"))
    if isinstance(level, str) or isinstance(budget, str) or isinstance(latency, str):
        return ""
    if level > 0:
        return f"{heartbeat.process} sheds"
    return f"{heartbeat.process} is over its budget" if 0 < budget < latency else ""

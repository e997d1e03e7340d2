"""From a camera and a time to the keyframe where looking again begins."""

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from processors.keyframe_index import KeyframeIndex
from replay.log import LogGoneError, PartitionLog, Record, deleted
from replay.units import units_of
from schemas.messages import AccessUnit
from schemas.partition import partition_of
from schemas.results import rfc3339
from schemas.topics import FRAMES, FRAMES_BATCH, PARTITIONS

_LOOK_BACK_SECONDS: Final = (10, 120)
"""a keyframe is usually no further back than that; otherwise the partition is read from its start"""


class Span(Struct, frozen=True):
    """Whole GOPs of one camera: from the keyframe at or before `from_ns` to the first one at or after `to_ns`."""

    camera: str
    topic: str
    partition: int
    keyframe_offset: int
    keyframe_ns: int
    stamped_ms: int
    """the keyframe record's timestamp: results of the span came later"""
    from_ns: int
    to_ns: int


def locate(bootstrap: str, camera: str, from_ns: int, to_ns: int, index: KeyframeIndex | None = None) -> Span:
    """Raises LogGoneError when the camera's log does not reach back that far, or holds nothing of the time.

    The `index` may be wrong, and may not answer: what it says is looked up in the log, where it only saves reading.
    """
    if to_ns <= from_ns:
        raise ValueError("the end is not after the beginning")
    partition = partition_of(camera.encode(), PARTITIONS)
    left = []
    for topic in (FRAMES.name, FRAMES_BATCH.name):
        with PartitionLog(bootstrap, topic, partition) as log:
            hint = index.before(topic, camera, from_ns) if index is not None else None
            found, why = _locate(log, camera, from_ns, to_ns, hint)
            if found is not None:
                return found
            if why:
                left.append(why)
    raise LogGoneError("; ".join(left) or f"the log holds nothing of camera {camera}")


def span_at(bootstrap: str, camera: str, topic: str, partition: int, keyframe_offset: int) -> Span:
    """The GOP whose keyframe is at this offset. Raises LogGoneError when it was deleted or is no keyframe."""
    with PartitionLog(bootstrap, topic, partition) as log:
        if keyframe_offset < log.low:
            raise LogGoneError(deleted(topic, partition, keyframe_offset, log.low, log.high))
        for records in log.read(keyframe_offset):
            for offset, stamped_ms, unit in _keyframes_of(records, camera):
                if offset == keyframe_offset:
                    return _gop(log, camera, offset, stamped_ms, unit)
            break
    raise LogGoneError(f"{topic}/{partition}: offset {keyframe_offset} is no keyframe of camera {camera}")


def span_behind(bootstrap: str, camera: str, topic: str, partition: int, offset: int) -> Span | int:
    """The GOP of the camera's first keyframe at or behind this offset; where there is none, the offset up to which
    there is none. Raises LogGoneError when what is there was deleted."""
    with PartitionLog(bootstrap, topic, partition) as log:
        if offset < log.low:
            raise LogGoneError(f"{topic}/{partition}: offset {offset} was deleted; left is {log.low} and later")
        for found, stamped_ms, unit in keyframes(log, offset, camera):
            return _gop(log, camera, found, stamped_ms, unit)
        return log.high


def _gop(log: PartitionLog, camera: str, offset: int, stamped_ms: int, unit: AccessUnit) -> Span:
    at_ns = unit.captured_ns
    return Span(camera, log.topic, log.partition, offset, at_ns, stamped_ms, at_ns, at_ns + 1)


def _locate(log: PartitionLog, camera: str, from_ns: int, to_ns: int, hint: int | None) -> tuple[Span | None, str]:
    """The span, or what the topic has of the camera instead; empty: nothing."""
    # a batch topic is stamped on arrival, which says nothing of the capture
    starts = [log.at(from_ns // 1_000_000 - seconds * 1000) for seconds in _LOOK_BACK_SECONDS]
    starts = [*starts, log.low] if log.topic == FRAMES.name else [log.low]
    if hint is not None and _is_keyframe(log, hint, camera, from_ns):
        starts = [hint, *starts]
    first: tuple[int, AccessUnit, int] | None = None
    last_ns = 0
    for start in dict.fromkeys(starts):
        first, before, last_ns = None, None, 0
        for offset, stamped_ms, unit in keyframes(log, start, camera):
            last_ns = max(last_ns, unit.captured_ns)
            if unit.captured_ns > from_ns:
                first = offset, unit, stamped_ms
                break
            before = offset, unit, stamped_ms
        if before is not None and (first is not None or last_ns >= from_ns - 60_000_000_000):
            return _span(log, camera, before, from_ns, to_ns), ""
    if first is None:
        return None, f"{log.topic} ends at {rfc3339(last_ns)} for camera {camera}" if last_ns else ""
    if first[1].captured_ns >= to_ns:
        return None, f"{log.topic} begins at {rfc3339(first[1].captured_ns)} for camera {camera}"
    if log.low > 0:
        return None, (
            f"{log.topic} no longer holds camera {camera} at {rfc3339(from_ns)}: older records were deleted, "
            f"what is left begins at {rfc3339(first[1].captured_ns)}"
        )
    return _span(log, camera, first, from_ns, to_ns), ""


def _is_keyframe(log: PartitionLog, offset: int, camera: str, until_ns: int) -> bool:
    """Whether the record there is a keyframe of the camera, captured by then."""
    if not log.low <= offset < log.high:
        return False
    try:
        found = _keyframes_of(next(log.read(offset))[:1], camera)
    except (LogGoneError, StopIteration):
        return False
    return any(at == offset and unit.captured_ns <= until_ns for at, _, unit in found)


def _span(log: PartitionLog, camera: str, keyframe: tuple[int, AccessUnit, int], from_ns: int, to_ns: int) -> Span:
    offset, unit, stamped_ms = keyframe
    return Span(camera, log.topic, log.partition, offset, unit.captured_ns, stamped_ms, from_ns, to_ns)


def keyframes(log: PartitionLog, start: int, camera: str) -> Iterator[tuple[int, int, AccessUnit]]:
    """Offset, the record's timestamp in ms and the keyframe, of those that can be read. Raises LogGoneError."""
    for records in log.read(start):
        yield from _keyframes_of(records, camera)


def _keyframes_of(records: list[Record], camera: str) -> Iterator[tuple[int, int, AccessUnit]]:
    said = (record for record in records if record.headers.get("keyframe") == b"1")
    for record, unit in units_of(said, camera):
        yield record.offset, record.timestamp_ms, unit

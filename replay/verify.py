"""An event proves itself: it is derived from the log again and compared."""

from typing import Final

import msgspec
from msgspec import Struct

from processors.ports import Detector
from replay.again import look_again
from replay.compare import content
from replay.log import PartitionLog
from replay.past import Key
from schemas.messages import Event
from schemas.topics import EVENTS, PARTITIONS

_AROUND_NS: Final = 1_000_000


class EventUnknownError(Exception):
    """No event of this id is in the log."""


class Verdict(Struct, frozen=True):
    same: bool
    why: str
    event: Event
    """as published last"""
    again: Event | None
    """as it came out now; null: it did not happen again"""
    cold: bool


def find_event(bootstrap: str, event_id: str) -> Event:
    """Its newest revision. Raises EventUnknownError, LogSilentError."""
    found: Event | None = None
    for partition in range(PARTITIONS):
        with PartitionLog(bootstrap, EVENTS.name, partition) as log:
            for records in log.read(log.low):
                for record in records:
                    if event_id.encode() not in record.value:
                        continue
                    try:
                        event = msgspec.json.decode(record.value, type=Event)
                    except msgspec.DecodeError:
                        continue
                    if event.id == event_id and (found is None or event.revision >= found.revision):
                        found = event
    if found is None:
        raise EventUnknownError(f"no event {event_id} in the topic {EVENTS.name}")
    return found


async def verify_event(bootstrap: str, detector: Detector, event_id: str) -> Verdict:
    """Raises EventUnknownError, LogGoneError when its frames were deleted, LogSilentError."""
    event = find_event(bootstrap, event_id)
    # a gap's event has the time of the keyframe behind it: begin in front of the gap
    from_ns, until_ns = max(0, event.captured_ns - 1), event.captured_ns + _AROUND_NS
    again = await look_again(bootstrap, detector, event.camera, from_ns, until_ns, follow=False)
    found = again.found.get(Key("Event", event_id))
    if not isinstance(found, Event):
        why = "it does not happen when the log is looked at again"
        return Verdict(False, why, event, None, again.cold)
    if content(found) != content(event):
        return Verdict(False, _why(event, found), event, found, again.cold)
    return Verdict(True, "every byte is the same", event, found, again.cold)


def _why(before: Event, after: Event) -> str:
    old, new = (msgspec.json.decode(content(event)) for event in (before, after))
    names = [name for name in old if old[name] != new[name]]
    return "; ".join(f"{name}: {old[name]} was published, {new[name]} comes out" for name in names)

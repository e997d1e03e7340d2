"""A cursor: a position on one topic as a short opaque text, with a checksum against mutilation."""

import base64
import binascii
import zlib

from gateway.log import Position, PositionGone

_MAX_LENGTH = 2048


class BadCursor(ValueError):
    """Not a cursor that was given out for this topic."""


def encode(topic: str, position: Position) -> str:
    offsets = ",".join(str(position[p]) for p in sorted(position))
    body = f"{topic}:{offsets}".encode()
    return base64.urlsafe_b64encode(zlib.crc32(body).to_bytes(4, "big") + body).decode().rstrip("=")


def decode(text: str, topic: str, partitions: int) -> Position:
    """Raises BadCursor with a text for people."""
    if len(text) > _MAX_LENGTH:
        raise BadCursor("cursor: too long")
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadCursor("cursor: not one that was given out here") from error
    check, body = raw[:4], raw[4:]
    if len(raw) < 5 or zlib.crc32(body).to_bytes(4, "big") != check:
        raise BadCursor("cursor: not one that was given out here, or cut short")
    name, _, numbers = body.decode("ascii", "replace").partition(":")
    if name != topic:
        raise BadCursor(f"cursor: belongs to {name}, not to {topic}")
    offsets = [int(number) for number in numbers.split(",")]
    if len(offsets) != partitions:
        raise BadCursor(f"cursor: made for {len(offsets)} partitions, the topic has {partitions}")
    return dict(enumerate(offsets))


def checked(text: str, topic: str, starts: Position, ends: Position) -> Position:
    """A cursor that fits the topic as it is now. Raises BadCursor, or PositionGone where retention has been."""
    position = decode(text, topic, len(ends))
    for partition, offset in position.items():
        if offset > ends[partition]:
            raise BadCursor("cursor: points beyond the log's end; was the log made anew?")
        if offset < starts[partition]:
            raise PositionGone(f"partition {partition}: {starts[partition] - offset} records from offset {offset} on")
    return position

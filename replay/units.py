"""A camera's access units among the records of its partition."""

from collections.abc import Iterable, Iterator

from replay.log import Record
from schemas.codec import CodecError, decode
from schemas.messages import AccessUnit


def units_of(records: Iterable[Record], camera: str) -> Iterator[tuple[Record, AccessUnit]]:
    """In their order; what cannot be read is passed over."""
    key = camera.encode()
    for record in records:
        if record.key != key:
            continue
        try:
            unit = decode(record.key, record.value, record.headers)
        except CodecError:
            continue
        if isinstance(unit, AccessUnit):
            yield record, unit

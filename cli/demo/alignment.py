"""Which frame of a clip each access unit in the log is: by its picture's bytes, so that capture times need no trust."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import av
from av.bitstream import BitStreamFilterContext

from cli.collect import Record
from schemas.codec import decode
from schemas.messages import AccessUnit, Codec

_START = b"\0\0\1"


def picture_digest(data: bytes, codec: Codec) -> bytes:
    """Of the coded slices alone: servers add and drop delimiters, parameter sets and messages."""
    digest = hashlib.sha256()
    for unit in _nal_units(data):
        kind = unit[0] & 31 if codec == "h264" else (unit[0] >> 1) & 63
        if kind in (1, 5) if codec == "h264" else kind <= 21:
            digest.update(unit)
    return digest.digest()


def frames_of(clip: Path) -> dict[bytes, int]:
    """Digest to the frame's number in presentation order."""
    found: list[tuple[int, bytes]] = []
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        codec: Codec = "hevc" if stream.codec_context.name == "hevc" else "h264"
        annex_b = BitStreamFilterContext(f"{codec}_mp4toannexb", stream)
        for packet in container.demux(stream):
            for out in annex_b.filter(packet if packet.size else None):
                assert out.pts is not None
                found.append((out.pts, picture_digest(bytes(out), codec)))
    return {digest: number for number, (_, digest) in enumerate(sorted(found))}


def captured_frames(records: Iterable[Record], camera: str, frames: dict[bytes, int]) -> list[tuple[int, int]]:
    """(capture time in ns, frame number) of every access unit of this camera that shows a frame of the clip."""
    pairs = []
    for record in records:
        if record.key != camera.encode():
            continue
        unit = decode(record.key, record.value, record.headers)
        if isinstance(unit, AccessUnit):
            number = frames.get(picture_digest(unit.data, unit.codec))
            if number is not None:
                pairs.append((unit.captured_ns, number))
    return sorted(pairs)


def _nal_units(data: bytes) -> Iterator[bytes]:
    begin = data.find(_START)
    while begin >= 0:
        following = data.find(_START, begin + 3)
        # a fourth zero belongs to the next start code, trailing zeros to nobody
        yield data[begin + 3 : following if following >= 0 else len(data)].rstrip(b"\0")
        begin = following

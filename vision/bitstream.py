"""What an access unit's NAL unit headers say, without decoding anything.

Sources: ITU-T H.264 (table 7-1) and H.265 (table 7-1) for the NAL unit types, Annex B of both for the start codes.
"""

from collections.abc import Iterator
from typing import Literal

from schemas.messages import Codec

_H264_SLICE = frozenset({1, 2, 5})
_H264_IDR = 5
_HEVC_LAST_SLICE = 21
_HEVC_RASL = frozenset({8, 9})
_HEVC_BLA_IDR = frozenset({16, 17, 18, 19, 20})
_HEVC_CRA = 21

EntryPoint = Literal["closed", "open", "none"]


def nal_types(codec: Codec, data: bytes) -> Iterator[int]:
    """The nal_unit_type of each NAL unit, in order. A start code at the very end of `data` yields nothing."""
    position = data.find(b"\0\0\1")
    while 0 <= position < len(data) - 3:
        header = data[position + 3]
        yield header & 31 if codec == "h264" else (header >> 1) & 63
        position = data.find(b"\0\0\1", position + 3)


def first_slice_type(codec: Codec, data: bytes) -> int | None:
    """The nal_unit_type of the first coded slice; None where the access unit holds no picture."""
    for kind in nal_types(codec, data):
        if (kind in _H264_SLICE) if codec == "h264" else kind <= _HEVC_LAST_SLICE:
            return kind
    return None


def entry_point(codec: Codec, data: bytes) -> EntryPoint:
    """How a decoder may start here.

    "closed": every later picture can be decoded. "open" (HEVC's CRA; in H.264 whatever else the container calls a
    keyframe is for the caller to judge): pictures that follow in decode order and precede in presentation order may
    need the pictures before. "none": not a point to start at.
    """
    kind = first_slice_type(codec, data)
    if codec == "h264":
        return "closed" if kind == _H264_IDR else "none"
    if kind in _HEVC_BLA_IDR:
        return "closed"
    return "open" if kind == _HEVC_CRA else "none"


def is_skipped_leading(codec: Codec, data: bytes) -> bool:
    """HEVC's RASL pictures: they refer to pictures before the keyframe that they follow."""
    return codec == "hevc" and first_slice_type(codec, data) in _HEVC_RASL

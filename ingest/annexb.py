"""What an access unit in Annex B says about itself: how a decoder may enter the stream there, and its parameter sets.

NAL unit types: ITU-T H.264 table 7-1, ITU-T H.265 table 7-1. Only what stands before the first slice is looked at, so
the cost does not grow with the picture.
"""

from collections.abc import Iterator
from typing import Final, Literal

from msgspec import Struct

from schemas.messages import Codec

Entry = Literal["closed", "open", "leading", "plain", "none"]
"""closed: everything from here on is decodable; open: it is, but for pictures shown before this one;
leading: shown before the open entry that precedes it, and not decodable from there;
plain: needs earlier pictures; none: no picture in these bytes"""

START_CODE: Final = b"\x00\x00\x00\x01"

_H264_AUD, _HEVC_AUD = 9, 35
_H264_SETS: Final = (7, 8)
_HEVC_SETS: Final = (32, 33, 34)
_H264_PPS, _HEVC_PPS = 8, 34
_I_SLICES: Final = (2, 4, 7, 9)


class Inspection(Struct, frozen=True):
    entry: Entry
    sets: tuple[tuple[int, bytes], ...] = ()
    """parameter sets in the access unit: NAL unit type and bytes without start code"""
    body: int = 0
    """where the bytes behind an access unit delimiter begin"""


def nal_units(data: bytes) -> Iterator[tuple[int, int]]:
    """Yields (first byte of the start code, first byte of the NAL unit)."""
    at = data.find(b"\x00\x00\x01")
    while at >= 0:
        yield (at - 1 if at > 0 and data[at - 1] == 0 else at), at + 3
        at = data.find(b"\x00\x00\x01", at + 3)


def inspect(data: bytes, codec: Codec) -> Inspection:
    return _inspect_h264(data) if codec == "h264" else _inspect_hevc(data)


def _inspect_h264(data: bytes) -> Inspection:
    sets: list[tuple[int, bytes]] = []
    body, recovery, open_set = 0, False, -1
    for code, at in nal_units(data):
        if open_set >= 0:
            sets.append((data[open_set] & 31, data[open_set:code].rstrip(b"\x00")))
            open_set = -1
        if at >= len(data):
            break
        kind = data[at] & 31
        if body < 0:
            body = code
        if kind == _H264_AUD:
            body = -1
        elif kind in _H264_SETS:
            open_set = at
        elif kind == 6:
            recovery = recovery or _has_recovery_point(data[at + 1 : at + 64])
        elif kind == 5:
            return Inspection("closed", tuple(sets), body)
        elif kind in (1, 2):
            intra = recovery or (kind == 1 and _h264_slice_type(data[at + 1 : at + 12]) in _I_SLICES)
            return Inspection("open" if intra else "plain", tuple(sets), body)
    if open_set >= 0:
        sets.append((data[open_set] & 31, data[open_set:].rstrip(b"\x00")))
    return Inspection("none", tuple(sets), max(body, 0))


def _inspect_hevc(data: bytes) -> Inspection:
    sets: list[tuple[int, bytes]] = []
    body, open_set = 0, -1
    for code, at in nal_units(data):
        if open_set >= 0:
            sets.append(((data[open_set] >> 1) & 63, data[open_set:code].rstrip(b"\x00")))
            open_set = -1
        if at >= len(data):
            break
        kind = (data[at] >> 1) & 63
        if body < 0:
            body = code
        if kind == _HEVC_AUD:
            body = -1
        elif kind in _HEVC_SETS:
            open_set = at
        elif kind < 32:
            if 16 <= kind <= 20:
                return Inspection("closed", tuple(sets), body)
            if kind in (8, 9):
                return Inspection("leading", tuple(sets), body)
            return Inspection("open" if kind == 21 else "plain", tuple(sets), body)
    if open_set >= 0:
        sets.append(((data[open_set] >> 1) & 63, data[open_set:].rstrip(b"\x00")))
    return Inspection("none", tuple(sets), max(body, 0))


def _has_recovery_point(sei: bytes) -> bool:
    """H.264 7.3.2.3.1: payload type 6, among the messages at the beginning of the NAL unit."""
    at = 0
    while at + 1 < len(sei) and sei[at] != 0x80:
        kind, at = _sei_number(sei, at)
        size, at = _sei_number(sei, at)
        if kind == 6:
            return True
        at += size
    return False


def _sei_number(sei: bytes, at: int) -> tuple[int, int]:
    value = 0
    while at < len(sei) and sei[at] == 0xFF:
        value, at = value + 255, at + 1
    return (value + sei[at] if at < len(sei) else value), at + 1


def _h264_slice_type(header: bytes) -> int:
    """H.264 7.3.3: first_mb_in_slice, then slice_type."""
    bits = int.from_bytes(header.replace(b"\x00\x00\x03", b"\x00\x00"), "big")
    left = 8 * len(header.replace(b"\x00\x00\x03", b"\x00\x00"))
    _, left = exp_golomb(bits, left)
    kind, _ = exp_golomb(bits, left)
    return kind


def exp_golomb(bits: int, left: int) -> tuple[int, int]:
    """ue(v), H.264 9.1: the number that starts `left` bits before the end of `bits`, and the bits left after it;
    (-1, 0) when they do not suffice."""
    rest = bits & ((1 << left) - 1)
    zeros = left - rest.bit_length()
    if rest == 0 or left < 2 * zeros + 1:
        return -1, 0
    left -= 2 * zeros + 1
    return (rest >> left) - 1, left


class ParameterSets:
    """The parameter sets in force, so that each entry point can be given the ones it lacks."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._order = _H264_SETS if codec == "h264" else _HEVC_SETS
        self._pps = _H264_PPS if codec == "h264" else _HEVC_PPS
        self._sets: dict[int, dict[int, bytes]] = {kind: {} for kind in self._order}

    @property
    def complete(self) -> bool:
        return all(self._sets.values())

    @property
    def as_bytes(self) -> bytes:
        return b"".join(START_CODE + unit for kind in self._order for unit in self._sets[kind].values())

    def learn(self, sets: tuple[tuple[int, bytes], ...]) -> None:
        """New sequence parameter sets replace everything of the kinds that come with them; a picture parameter set
        alone replaces its own number."""
        kinds = {kind for kind, _ in sets}
        alone = kinds == {self._pps}
        for kind in kinds:
            if not alone:
                self._sets[kind] = {}
        for kind, unit in sets:
            number = self._pps_number(unit) if kind == self._pps else len(self._sets[kind])
            self._sets[kind][number] = unit

    def learn_extradata(self, extradata: bytes | None) -> None:
        """Takes Annex B, avcC (ISO/IEC 14496-15 5.3.3.1) or hvcC (8.3.3.1). Ignores what it cannot read."""
        if not extradata:
            return
        if extradata.startswith((b"\x00\x00\x01", START_CODE)):
            self.learn(inspect(extradata, self._codec).sets)
        else:
            units = _avcc_units(extradata) if self._codec == "h264" else _hvcc_units(extradata)
            numbered = [(self._kind(unit), unit) for unit in units if unit]
            self.learn(tuple((kind, unit) for kind, unit in numbered if kind in self._order))

    def in_front(self, data: bytes, found: Inspection) -> bytes:
        """The access unit with every kind of parameter set before its first slice."""
        present = {kind for kind, _ in found.sets}
        if all(kind in present for kind in self._order):
            return data
        # behind the delimiter, which has to stay first; sets that are there already may follow once more
        return data[: found.body] + self.as_bytes + data[found.body :]

    def _kind(self, unit: bytes) -> int:
        return unit[0] & 31 if self._codec == "h264" else (unit[0] >> 1) & 63

    def _pps_number(self, unit: bytes) -> int:
        payload = unit[1:9] if self._codec == "h264" else unit[2:10]
        return exp_golomb(int.from_bytes(payload, "big"), 8 * len(payload))[0]


def _avcc_units(extradata: bytes) -> Iterator[bytes]:
    if len(extradata) < 7 or extradata[0] != 1:
        return
    at = 5
    for mask in (31, 255):
        if at >= len(extradata):
            return
        count, at = extradata[at] & mask, at + 1
        for _ in range(count):
            size = int.from_bytes(extradata[at : at + 2], "big")
            yield extradata[at + 2 : at + 2 + size]
            at += 2 + size


def _hvcc_units(extradata: bytes) -> Iterator[bytes]:
    if len(extradata) < 23:
        return
    at = 23
    for _ in range(extradata[22]):
        count, at = int.from_bytes(extradata[at + 1 : at + 3], "big"), at + 3
        for _ in range(count):
            size = int.from_bytes(extradata[at : at + 2], "big")
            yield extradata[at + 2 : at + 2 + size]
            at += 2 + size

"""Encoded streams and demuxed clips for the decoder's tests."""

import functools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.bitstream import BitStreamFilterContext

from schemas.messages import AccessUnit, Codec

CLIPS = Path(__file__).resolve().parents[3] / "shared/data/video"


def access_unit(codec: Codec, gop: int, index: int, pts: int, data: bytes, size: tuple[int, int]) -> AccessUnit:
    return AccessUnit(
        camera="cam",
        session="s1",
        gop=gop,
        index=index,
        keyframe=index == 0,
        codec=codec,
        pts=pts,
        time_base=(1, 25),
        width=size[0],
        height=size[1],
        captured_ns=1_000_000_000 + pts * 40_000_000,
        data=data,
        analysis=b"{}" if index == 0 else None,
    )


def encode(
    codec: Codec = "h264",
    count: int = 30,
    size: tuple[int, int] = (96, 64),
    keyframe_every: int = 10,
    options: dict[str, str] | None = None,
    **more: str,
) -> list[AccessUnit]:
    """A square moving over noise, as access units; GOPs as the encoder made them."""
    return list(_encoded(codec, count, size, keyframe_every, (*(options or {}).items(), *more.items())))


@functools.cache
def _encoded(
    codec: Codec, count: int, size: tuple[int, int], keyframe_every: int, options: tuple[tuple[str, str], ...]
) -> tuple[AccessUnit, ...]:
    encoder = av.CodecContext.create("libx264" if codec == "h264" else "libx265", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height = size
    encoder.pix_fmt = "yuv420p"
    encoder.time_base = Fraction(1, 25)
    encoder.framerate = Fraction(25)
    encoder.gop_size = keyframe_every
    encoder.thread_count = 1
    if codec == "hevc":
        encoder.options = {"x265-params": "log-level=none:pools=none:frame-threads=1:repeat-headers=1", **dict(options)}
    else:
        encoder.options = dict(options)
    noise = np.random.default_rng(7).integers(0, 60, (size[1], size[0], 3), dtype=np.uint8)
    packets = []
    for number in range(count):
        rgb = noise.copy()
        left = 2 + 3 * number % (size[0] - 20)
        rgb[10:26, left : left + 16] = (220, 40 + number, 90)
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
        frame.pts = number
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    units: list[AccessUnit] = []
    gop, index = -1, 0
    for packet in packets:
        if packet.is_keyframe:
            gop, index = gop + 1, 0
        assert packet.pts is not None
        units.append(access_unit(codec, gop, index, packet.pts, bytes(packet), size))
        index += 1
    return tuple(units)


def demux(path: Path) -> Iterator[AccessUnit]:
    """A clip's access units in Annex B; a new GOP at each keyframe of the container."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        name = stream.codec_context.name
        codec: Codec = "h264" if name == "h264" else "hevc"
        assert name == codec
        size = stream.codec_context.width, stream.codec_context.height
        to_annex_b = BitStreamFilterContext(f"{codec}_mp4toannexb", stream)
        gop, index = -1, 0
        for packet in container.demux(stream):
            for out in to_annex_b.filter(packet if packet.size else None):
                if out.is_keyframe:
                    gop, index = gop + 1, 0
                assert out.pts is not None
                yield access_unit(codec, gop, index, out.pts, bytes(out), size)
                index += 1


def without_reordering_info(data: bytes) -> bytes:
    """An H.264 access unit whose parameter set carries no VUI, as many cameras send it."""
    parts = data.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")
    rewritten = [_without_vui(part) if part[:1] and part[0] & 31 == 7 else part for part in parts]
    return b"\0\0\0\1".join(rewritten)


def _without_vui(sps: bytes) -> bytes:
    """A sequence parameter set cut at vui_parameters_present_flag, which becomes 0 (H.264, 7.3.2.1.1)."""
    payload = sps[1:].replace(b"\0\0\3", b"\0\0")
    bits = "".join(f"{byte:08b}" for byte in payload)
    place = 24

    def skip_ue() -> int:
        nonlocal place
        zeros = bits.index("1", place) - place
        value = int(bits[place + zeros : place + 2 * zeros + 1], 2) - 1
        place += 2 * zeros + 1
        return value

    skip_ue()
    if payload[0] in (100, 110, 122, 244):
        assert skip_ue() != 3
        skip_ue(), skip_ue()
        assert bits[place + 1] == "0", "scaling matrices"
        place += 2
    skip_ue()
    order = skip_ue()
    assert order in (0, 2)
    if order == 0:
        skip_ue()
    skip_ue()
    place += 1
    skip_ue(), skip_ue()
    place += 1 if bits[place] == "1" else 2
    place += 1
    place += 1
    if bits[place - 1] == "1":
        for _ in range(4):
            skip_ue()
    cut = bits[:place] + "0" + "1"
    cut += "0" * (-len(cut) % 8)
    raw = bytes(int(cut[i : i + 8], 2) for i in range(0, len(cut), 8))
    escaped = bytearray()
    for byte in raw:
        if len(escaped) >= 2 and escaped[-1] == escaped[-2] == 0 and byte <= 3:
            escaped.append(3)
        escaped.append(byte)
    return sps[:1] + bytes(escaped)

"""Encoded streams and demuxed clips for the decoder's tests."""

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
    **options: str,
) -> list[AccessUnit]:
    """A square moving over noise, as access units; GOPs as the encoder made them."""
    encoder = av.CodecContext.create("libx264" if codec == "h264" else "libx265", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height = size
    encoder.pix_fmt = "yuv420p"
    encoder.time_base = Fraction(1, 25)
    encoder.framerate = Fraction(25)
    encoder.gop_size = keyframe_every
    encoder.thread_count = 1
    if codec == "hevc":
        encoder.options = {"x265-params": "log-level=none:pools=none:frame-threads=1:repeat-headers=1", **options}
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
    return units


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

"""Small clips with known content, made by PyAV: a bright bar walks over grey, one step a picture."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from ingest.annexb import inspect
from schemas.messages import AccessUnit


def picture(number: int, width: int, height: int) -> av.VideoFrame:
    image = np.full((height, width, 3), 96, np.uint8)
    image[:, (number * 4) % width :][:, :16] = 230
    image[: height // 4, :, 1] = (number * 7) % 256
    return av.VideoFrame.from_ndarray(image, format="rgb24")


def write_clip(
    path: Path,
    codec: str = "libx264",
    pictures: int = 50,
    size: tuple[int, int] = (320, 240),
    rate: int = 25,
    gop: int = 25,
    b_frames: int = 0,
    pts: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
    pix_fmt: str = "yuv420p",
    format: str | None = None,
    audio: bool = False,
    container_options: dict[str, str] | None = None,
) -> Path:
    """`pts`: one for each picture, in milliseconds; without it a picture every 1/rate s."""
    width, height = size
    with av.open(str(path), "w", format=format, options=container_options or {}) as container:
        stream: Any = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.gop_size, stream.max_b_frames, stream.thread_count = gop, b_frames, 1
        stream.codec_context.options = {"preset": "ultrafast"} if codec in ("libx264", "libx265") else {}
        stream.codec_context.options |= options or {}
        if pts is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        sound: Any = container.add_stream("aac", rate=16_000) if audio else None
        for number in range(pictures):
            frame = picture(number, width, height).reformat(format=pix_fmt)
            frame.pts = number if pts is None else pts[number]
            frame.time_base = Fraction(1, rate) if pts is None else Fraction(1, 1000)
            container.mux(stream.encode(frame))
            if sound is not None:
                silence = av.AudioFrame.from_ndarray(
                    np.zeros((1, 16_000 // rate), np.float32), format="fltp", layout="mono"
                )
                silence.sample_rate, silence.pts = 16_000, number * (16_000 // rate)
                container.mux(sound.encode(silence))
        container.mux(stream.encode(None))
        if sound is not None:
            container.mux(sound.encode(None))
    return path


def decoded_by_ffmpeg(path: Path) -> int:
    """Pictures that FFmpeg shows of the file, read as a whole."""
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def decode(units: Iterable[AccessUnit]) -> list[tuple[int, int, int, bool]]:
    """(pts, width, height, corrupt) of every picture, each group decoded by a decoder that knows nothing else."""
    shown: list[tuple[int, int, int, bool]] = []
    group: list[AccessUnit] = []
    for unit in units:
        if unit.keyframe and group:
            shown += _decode_group(group)
            group = []
        group.append(unit)
    return shown + _decode_group(group)


def _decode_group(group: list[AccessUnit]) -> list[tuple[int, int, int, bool]]:
    if not group:
        return []
    decoder: Any = av.VideoCodecContext.create(group[0].codec, "r")
    decoder.thread_count = 1
    shown = []
    for unit in [*group, None]:
        packet = None
        if unit is not None:
            packet = av.Packet(unit.data)
            packet.pts = unit.pts
        try:
            shown += [(f.pts, f.width, f.height, f.is_corrupt) for f in decoder.decode(packet)]
        except FFmpegError as error:
            raise AssertionError(f"{unit and (unit.gop, unit.index)} does not decode: {error}") from error
    return shown


def check_log(units: Sequence[AccessUnit]) -> None:
    """What every camera's part of the log keeps to."""
    assert units, "nothing was published"
    captured = [unit.captured_ns for unit in units]
    assert len(set(captured)) == len(captured), "capture times are unique"
    last: AccessUnit | None = None
    for unit in units:
        entry = inspect(unit.data, unit.codec)
        if unit.keyframe:
            assert unit.index == 0
            assert unit.analysis
            wanted = {7, 8} if unit.codec == "h264" else {32, 33, 34}
            assert {kind for kind, _ in entry.sets} >= wanted, "parameter sets stand before each keyframe"
            assert entry.entry in ("closed", "open")
        else:
            assert last is not None
            assert (unit.session, unit.gop, unit.index) == (last.session, last.gop, last.index + 1)
            assert unit.analysis is None
        last = unit
    shown = decode(units)
    assert len(shown) == len(units), "every access unit is one picture"
    assert not any(corrupt for *_, corrupt in shown)
    by_time = sorted(units, key=lambda unit: unit.captured_ns)
    assert [unit.pts for unit in by_time] == [pts for pts, *_ in shown], "capture times are in the order of showing"
    sizes = {unit.pts: (unit.width, unit.height) for unit in units}
    assert all(sizes[pts] == (width, height) for pts, width, height, _ in shown)

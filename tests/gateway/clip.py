"""A clip whose truth is known: a bright square goes from left to right over a dark, textured ground."""

from collections.abc import Iterator
from fractions import Fraction

import av
import msgspec
import numpy as np

from schemas.analysis import Analysis, LineRule
from schemas.messages import AccessUnit, Box, Detections, Event, Provenance
from schemas.results import config_hash

WIDTH, HEIGHT, FPS, GOP = 640, 360, 10, 10
SIDE = 80
ANALYSIS = msgspec.json.encode(
    Analysis(model="square-finder", rules=(LineRule(name="middle", start=(0.5, 0.0), end=(0.5, 1.0)),))
)


def left_of(index: int) -> int:
    """Where the square's left edge is: it goes round every six seconds."""
    return (index * 9) % (WIDTH - SIDE)


def top_of(index: int) -> int:
    return 140


def picture(index: int) -> np.ndarray:
    ground = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    ground[:] = (40, 60, 50)
    ground[::24] = (70, 90, 80)
    left, top = left_of(index), top_of(index)
    ground[top : top + SIDE, left : left + SIDE] = (250, 220, 40)
    return ground


def access_units(
    camera: str, frames: int, start_ns: int, session: str = "s1", codec: str = "libx264", first: int = 0
) -> Iterator[AccessUnit]:
    """`frames` units, one keyframe in GOP, in Annex B as an encoder without a container writes them."""
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.time_base = Fraction(1, 90_000)
    encoder.framerate = Fraction(FPS)
    encoder.gop_size = GOP
    encoder.max_b_frames = 0
    if codec == "libx264":
        encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "g": str(GOP), "sc_threshold": "0"}
    else:
        encoder.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "x265-params": f"keyint={GOP}:min-keyint={GOP}:scenecut=0:repeat-headers=1:log-level=none",
        }
    number = 0
    for index in range(frames + 1):
        if index < frames:
            frame = av.VideoFrame.from_ndarray(picture(first + index), format="rgb24")
            frame.pts = index * 9000
            packets = encoder.encode(frame)
        else:
            packets = encoder.encode(None)
        for packet in packets:
            yield AccessUnit(
                camera=camera,
                session=session,
                gop=(first + number) // GOP,
                index=number % GOP,
                keyframe=number % GOP == 0,
                codec="h264" if codec == "libx264" else "hevc",
                pts=int(packet.pts or 0),
                time_base=(1, 90_000),
                width=WIDTH,
                height=HEIGHT,
                captured_ns=start_ns + number * 10**9 // FPS,
                data=bytes(packet),
                analysis=ANALYSIS if number % GOP == 0 else None,
            )
            number += 1


def provenance(keyframe_offset: int = 0) -> Provenance:
    return Provenance(
        topic="frames",
        partition=0,
        keyframe_offset=keyframe_offset,
        first_offset=keyframe_offset,
        last_offset=keyframe_offset,
        model="square-finder",
        model_version="1",
        config=config_hash(ANALYSIS),
    )


def detections(camera: str, index: int, captured_ns: int, session: str = "s1") -> Detections:
    left, top = left_of(index), top_of(index)
    return Detections(
        camera=camera,
        captured_ns=captured_ns,
        session=session,
        gop=index // GOP,
        pts=index * 9000,
        width=WIDTH,
        height=HEIGHT,
        boxes=(Box("car", 0.9, left, top, left + SIDE, top + SIDE, track="t-1"),),
        signals={"north": "red" if index // 20 % 2 else "green"},
        provenance=provenance(),
    )


def event(camera: str, number: int, captured_ns: int, kind: str = "line_crossed") -> Event:
    return Event(
        id=f"{camera}-{number}",
        camera=camera,
        kind=kind,
        rule="middle",
        captured_ns=captured_ns,
        track="t-1",
        label="car",
        box=Box("car", 0.9, 1.0, 2.0, 3.0, 4.0),
        details={"direction": "forward", "number": number},
        provenance=provenance(),
    )

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from simulator.scene import Scene
from vision import signal

LAMPS = {"red": (255, 60, 40), "amber": (255, 180, 40), "green": (40, 240, 130)}
UNLIT = {"red": (60, 16, 16), "amber": (60, 46, 14), "green": (12, 50, 34)}


def head(
    lit: str, scale: float = 20, pixels: str = "yuv420p", background: int = 120, blown: bool = False
) -> av.VideoFrame:
    """A signal head in the middle of a grey picture; `blown`: the lamp's middle overexposed to white."""
    picture = np.full((240, 320, 3), background, np.uint8)
    width, height = scale, 3 * scale
    corner = (round(160 - width / 2), round(120 - height / 2))
    cv2.rectangle(picture, corner, (round(160 + width / 2), round(120 + height / 2)), (20, 20, 22), -1)
    for place, name in enumerate(LAMPS):
        centre = (160, round(120 + (place - 1) * scale))
        colour = LAMPS[name] if name == lit else UNLIT[name]
        cv2.circle(picture, centre, max(1, round(0.38 * scale)), colour, -1, cv2.LINE_AA)
        if name == lit and blown:
            cv2.circle(picture, centre, max(1, round(0.26 * scale)), (255, 250, 245), -1, cv2.LINE_AA)
    return av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixels)


def region(scale: float) -> tuple[float, float, float, float]:
    return ((160 - scale / 2) / 320, (120 - 1.5 * scale) / 240, (160 + scale / 2) / 320, (120 + 1.5 * scale) / 240)


@pytest.mark.parametrize("scale", [6, 10, 20, 40])
@pytest.mark.parametrize("background", [10, 120, 240])
@pytest.mark.parametrize("lit", ["red", "amber", "green", "off"])
def test_lamps(lit: str, background: int, scale: float) -> None:
    assert signal.read(head(lit, scale, background=background), region(scale)) == lit


@pytest.mark.parametrize("lit", ["red", "amber", "green"])
def test_overexposed_lamps(lit: str) -> None:
    assert signal.read(head(lit, 24, background=15, blown=True), region(24)) == lit


@pytest.mark.parametrize("pixels", ["yuv420p", "yuvj420p", "yuv422p", "yuv444p", "nv12", "yuv420p10le", "rgb24"])
def test_pixel_formats(pixels: str) -> None:
    for lit in ("red", "amber", "green"):
        assert signal.read(head(lit, pixels=pixels), region(20)) == lit


def test_a_colourless_picture_is_still_read_by_place() -> None:
    for lit in ("amber", "green"):
        assert signal.read(head(lit, pixels="gray"), region(20)) == lit


@pytest.mark.parametrize("grey", [0, 16, 128, 255])
def test_nothing_there(grey: int) -> None:
    frame = av.VideoFrame.from_ndarray(np.full((240, 320, 3), grey, np.uint8), format="rgb24").reformat(
        format="yuv420p"
    )
    assert signal.read(frame, region(20)) == "off"


@pytest.mark.parametrize("place", [(0.5, 0.5, 0.5, 0.5), (0.9, 0.2, 0.1, 0.9), (0.5, 0.5, 0.501, 0.502)])
def test_regions_without_extent(place: tuple[float, float, float, float]) -> None:
    assert signal.read(head("red"), place) == "off"


def test_a_region_at_the_border() -> None:
    assert signal.read(head("red"), (0.0, 0.0, 1.0, 1.0)) in ("red", "amber", "green", "off")
    assert signal.read(head("red"), (0.98, 0.9, 1.0, 1.0)) == "off"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("variant", ["day", "night", "rain", "dusk"])
@pytest.mark.parametrize("size", [(320, 180), (640, 360)])
def test_rendered_and_compressed_scenes(variant: str, size: tuple[int, int]) -> None:
    """Through a real encoder at a low bit rate: the simulator's truth in every frame, also of lamps
    two pixels wide."""
    wrong = []
    phases = set()
    world = Scene(12, variant, *size, fps=5.0)  # type: ignore[arg-type]
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height = size
    encoder.pix_fmt = "yuv420p"
    encoder.framerate = Fraction(5)
    encoder.time_base = Fraction(1, 5)
    encoder.options = {"preset": "veryfast", "tune": "zerolatency", "crf": "28"}
    decoder = av.CodecContext.create("h264", "r")
    for number in range(10):
        world.skip(2.2)
        picture, truth = world.frame()
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24").reformat(format="yuv420p")
        frame.pts = number
        for packet in encoder.encode(frame):
            for decoded in decoder.decode(packet):
                seen = signal.read(decoded, world.geometry.signal_region)
                phases.add(truth.phases["main"])
                if seen != truth.phases["main"]:
                    wrong.append((number, truth.phases["main"], seen))
    assert not wrong
    assert {"red", "green"} <= phases

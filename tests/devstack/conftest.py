"""Small clips and folders for the servers' tests."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import psutil
import pytest


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of H.264: 20 frames of 160x120, a keyframe every 10, no B-frames."""
    return make_clip(tmp_path_factory.mktemp("clip") / "h264.mp4", "libx264")


@pytest.fixture(scope="session")
def hevc_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in H.265."""
    return make_clip(tmp_path_factory.mktemp("clip") / "hevc.mp4", "libx265")


def make_clip(path: Path, encoder: str, frames: int = 20) -> Path:
    """A moving square; 20 frames per second."""
    quiet = {"x265-params": "log-level=none:keyint=10:min-keyint=10:bframes=0"} if encoder == "libx265" else {}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=20, options={"preset": "ultrafast", "g": "10", "bf": "0", **quiet})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        stream.time_base = Fraction(1, 20)
        for number in range(frames):
            picture = np.full((120, 160, 3), 80, np.uint8)
            picture[40:80, 4 * number : 4 * number + 40] = 220
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


@pytest.fixture
def orphans() -> Iterator[list[int]]:
    """Pids that must be gone when the test ends; killed, should they not be."""
    pids: list[int] = []
    yield pids
    for pid in pids:
        if psutil.pid_exists(pid):
            psutil.Process(pid).kill()

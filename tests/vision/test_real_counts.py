"""Decoder, letterbox, boxes, tracker and line rule together, with a public detector on clips counted by eye."""

from collections import Counter
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest

from schemas.analysis import LineRule, Tracking
from tests.vision.video import CLIPS, demux
from vision import tracker, trajectories
from vision.boxes import from_output
from vision.decoder import GopDecoder, Picture
from vision.letterbox import Letterbox
from vision.rules import line
from vision.scene import Fact, Scene

MODEL = CLIPS.parent / "models/yolox_nano_416.onnx"
LABELS = ("person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", *["other"] * 72)

pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.timeout(300),
    pytest.mark.usefixtures("shared_data"),
]


class Nano:
    """YOLOX-nano with its boxes decoded outside of the graph; rows as served models give them."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(MODEL), options, providers=["CPUExecutionProvider"])
        cells, strides = [], []
        for stride in (8, 16, 32):
            rows, columns = np.mgrid[: 416 // stride, : 416 // stride]
            cells.append(np.stack([columns, rows], -1).reshape(-1, 2))
            strides.append(np.full((len(cells[-1]), 1), stride))
        self._cells, self._strides = np.concatenate(cells), np.concatenate(strides)

    def __call__(self, rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        image = np.ascontiguousarray(rgb[..., ::-1].transpose(2, 0, 1)[None], np.float32)
        raw = self._session.run(None, {"images": image})[0][0]
        centre, size = (raw[:, :2] + self._cells) * self._strides, np.exp(raw[:, 2:4]) * self._strides
        scores = raw[:, 4:5] * raw[:, 5:]
        best, classes = scores.max(axis=1), scores.argmax(axis=1)
        found = np.nonzero(best > 0.1)[0]
        boxes = np.concatenate([centre - size / 2, size], axis=1)[found]
        kept = cv2.dnn.NMSBoxesBatched(boxes.tolist(), best[found].tolist(), classes[found].tolist(), 0.1, 0.5)
        at = found[np.array(kept, int).reshape(-1)]
        corners = np.concatenate([centre - size / 2, centre + size / 2], axis=1)[at]
        return np.concatenate([corners, best[at, None], classes[at, None]], axis=1).astype(np.float32)


def watch(clip: Path, every: int, keep: tuple[str, ...], rule: LineRule | None) -> tuple[list[Fact], Counter[str]]:
    """Every n-th picture of a clip: crossings, and in how many pictures each track was."""
    detector, letterbox, image = Nano(), Letterbox(416, 416), np.empty((416, 416, 3), np.uint8)
    with av.open(str(clip)) as container:
        tick = container.streams.video[0].time_base or Fraction(0)
    state, ways, counting, config = tracker.initial(), trajectories.initial(), line.initial(), Tracking()
    facts: list[Fact] = []
    tracks: Counter[str] = Counter()
    decoder = GopDecoder("h264")
    pictures: list[Picture] = []
    number = -1
    for unit in [*demux(clip), None]:
        pictures = decoder.flush() if unit is None or unit.keyframe else []
        for picture in [*pictures, *(decoder.decode(unit) if unit is not None else [])]:
            number += 1
            if number % every:
                continue
            frame = picture.frame
            letterbox.from_frame(frame, image)
            boxes = from_output(detector(image), LABELS, letterbox, frame.width, frame.height, 0.1, keep)
            captured_ns = 10**18 + int(picture.pts * tick * 10**9)
            state, boxes = tracker.step(state, boxes, captured_ns, "cam", config)
            scene = Scene("cam", captured_ns, frame.width, frame.height, boxes, {}, tracker.earlier(state, config))
            tracks.update(box.track for box in boxes if box.track is not None)
            if rule is not None:
                ways, scene = trajectories.step(ways, scene)
                counting, found = line.step(counting, scene, rule)
                facts += found
    return facts, tracks


def test_eight_vehicles_cross_the_line_at_a_variable_frame_rate() -> None:
    rule = LineRule("road", (430 / 640, 170 / 352), (430 / 640, 330 / 352))
    facts, _ = watch(
        CLIPS / "road_vehicle_survaillance_640x352_vfr.mp4", 4, ("car", "bus", "truck", "motorcycle"), rule
    )
    assert [fact.details["direction"] for fact in facts] == ["backward"] * 8


def test_six_persons_one_after_the_other() -> None:
    _, tracks = watch(CLIPS / "one-by-one-person-detection.mp4", 4, ("person",), None)
    assert len(tracks) == 6

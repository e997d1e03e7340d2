"""Our pre- and post-processing on real networks and pictures, held against figures measured elsewhere."""

from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from training.average_precision import Found, Objects, average_precision
from training.contract import INPUT, OUTPUT
from training.importing import import_detector
from training.model_repository import load
from training.trial import pictures, session
from vision.letterbox import Letterbox

pytestmark = [pytest.mark.shared_data, pytest.mark.timeout(180)]

NETWORKS = [
    ("yolox_nano_416.onnx", "yolox", 0.258),
    ("nanodet_m_416.onnx", "nanodet", 0.219),
    ("AGPL_yolov8n_640_dequant_fp32.onnx", "yolov8", 0.357),
]
CLOSE = 0.01


class Annotation(msgspec.Struct):
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    iscrowd: int


class Image(msgspec.Struct):
    id: int
    file_name: str


class Category(msgspec.Struct):
    id: int


class Coco(msgspec.Struct):
    images: list[Image]
    annotations: list[Annotation]
    categories: list[Category]


@pytest.mark.parametrize(("file", "family", "figure"), NETWORKS)
def test_average_precision_on_tinycoco(
    shared_data: Path, tmp_path: Path, file: str, family: str, figure: float
) -> None:
    stored = load(import_detector(shared_data / "models" / file, "tested", family, tmp_path))
    running = session(str(stored.folder / "1" / "model.onnx"), threads=2)
    detector = stored.detector
    box = Letterbox(detector.width, detector.height, detector.letterbox, detector.pad)
    root = shared_data / "labelled" / "tinycoco"
    coco = msgspec.json.decode((root / "annotations" / "instances_train2017.json").read_bytes(), type=Coco)
    column = {identity: i for i, identity in enumerate(sorted(c.id for c in coco.categories))}
    truth, found = [], []
    for image in coco.images:
        picture = cv2.imread(str(root / "images" / "train2017" / image.file_name))
        assert picture is not None
        rgb = np.ascontiguousarray(picture[..., ::-1], np.uint8)
        rows = np.asarray(running.run([OUTPUT], {INPUT: box.from_rgb(rgb)[None]})[0])[0]
        rows = rows[rows[:, 4] > 0]
        boxes = box.unmap(rows[:, :4], rgb.shape[1], rgb.shape[0])
        found.append(Found(boxes, rows[:, 4].astype(np.float64), rows[:, 5].astype(np.int64)))
        truth.append(objects([a for a in coco.annotations if a.image_id == image.id], column))
    assert len(truth) == 32
    assert average_precision(truth, found).map50_95 == pytest.approx(figure, abs=CLOSE)


def objects(annotations: list[Annotation], column: dict[int, int]) -> Objects:
    boxes = np.array([a.bbox for a in annotations], np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    labels = np.array([column[a.category_id] for a in annotations], np.int64)
    return Objects(boxes, labels, np.array([bool(a.iscrowd) for a in annotations], bool))


@pytest.mark.parametrize(("file", "family"), [n[:2] for n in NETWORKS])
def test_a_batch_equals_its_pictures_one_by_one(shared_data: Path, tmp_path: Path, file: str, family: str) -> None:
    stored = load(import_detector(shared_data / "models" / file, "tested", family, tmp_path))
    assert stored.detector.max_batch_size == 8
    running = session(str(stored.folder / "1" / "model.onnx"))
    images = pictures(stored.detector, 4)
    batch = np.asarray(running.run([OUTPUT], {INPUT: images})[0])
    singles = [np.asarray(running.run([OUTPUT], {INPUT: images[i : i + 1]})[0]) for i in range(4)]
    np.testing.assert_array_equal(batch, np.concatenate(singles))

"""Small labelled folders in each format, all with the same pictures and boxes."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

CLASSES = ("bolt", "nut")
WIDTH, HEIGHT = 40, 30
#: Boxes by picture: class, x1, y1, x2, y2.
Boxes = Mapping[str, Sequence[tuple[str, float, float, float, float]]]
BOXES: Boxes = {
    "belt-1_0001": [("bolt", 2, 3, 12, 13), ("nut", 20, 10, 40, 30)],
    "belt-1_0002": [],
    "belt-2_0001": [("nut", 0, 0, 5, 6)],
}


def picture(seed: int) -> NDArray[np.uint8]:
    """Coarse blocks, different in each."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return np.asarray(cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST), np.uint8)


def write_pictures(folder: Path, boxes: Boxes = BOXES) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(boxes):
        assert cv2.imwrite(str(folder / f"{name}.png"), picture(number))


def coco(folder: Path, boxes: Boxes = BOXES) -> Path:
    """The annotation file."""
    write_pictures(folder / "images", boxes)
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for number, (name, own) in enumerate(boxes.items()):
        images.append({"id": number, "file_name": f"{name}.png", "width": WIDTH, "height": HEIGHT})
        for label, x1, y1, x2, y2 in own:
            place = {"id": len(annotations), "image_id": number, "bbox": [x1, y1, x2 - x1, y2 - y1]}
            annotations.append({**place, "category_id": CLASSES.index(label) + 1})
    categories = [{"id": number + 1, "name": name} for number, name in enumerate(CLASSES)]
    path = folder / "annotations" / "instances.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}, indent=1))
    return path


def yolo(folder: Path, boxes: Boxes = BOXES) -> Path:
    """The folder of label files."""
    write_pictures(folder / "images" / "train", boxes)
    (folder / "data.yaml").write_text(f"names: [{', '.join(CLASSES)}]\n")
    labels = folder / "labels" / "train"
    labels.mkdir(parents=True)
    for name, own in boxes.items():
        lines = []
        for label, x1, y1, x2, y2 in own:
            middle = ((x1 + x2) / 2 / WIDTH, (y1 + y2) / 2 / HEIGHT, (x2 - x1) / WIDTH, (y2 - y1) / HEIGHT)
            lines.append(" ".join([str(CLASSES.index(label)), *(f"{value:.6f}" for value in middle)]))
        if lines:
            (labels / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return labels


def voc(folder: Path, boxes: Boxes = BOXES) -> Path:
    """The folder of annotation files."""
    write_pictures(folder / "JPEGImages", boxes)
    annotations = folder / "Annotations"
    annotations.mkdir()
    for name, own in boxes.items():
        lines = ["<annotation>", f"<filename>{name}.png</filename>"]
        for label, x1, y1, x2, y2 in own:
            corners = {"xmin": x1 + 1, "ymin": y1 + 1, "xmax": x2, "ymax": y2}
            inner = "".join(f"<{key}>{value:g}</{key}>" for key, value in corners.items())
            lines += ["<object>", f"<name>{label}</name>", f"<bndbox>{inner}</bndbox>", "</object>"]
        (annotations / f"{name}.xml").write_text("\n".join([*lines, "</annotation>"]))
    return annotations

"""A stored pose model on labelled pictures: keypoints in COCO's layout. Needs ONNX Runtime."""

from pathlib import Path

import cv2
import msgspec
import numpy as np
from msgspec import Struct

from training.contract import ModelError
from training.keypoint_precision import FROM_18, KeypointPrecision, Labelled, Posed, keypoint_precision
from training.pose.contract import INPUT
from training.pose.repository import StoredPose
from training.trial import session
from vision.letterbox import Letterbox
from vision.pose import people_of, unmapped

_KEYPOINTS = 17


class _Image(Struct):
    id: int
    file_name: str


class _Person(Struct):
    image_id: int
    bbox: tuple[float, float, float, float]
    area: float
    keypoints: list[float]
    iscrowd: int = 0


class _File(Struct):
    images: list[_Image]
    annotations: list[_Person]


class LabelledPicture(Struct, frozen=True):
    file: Path
    people: Labelled


def read_people(annotations: Path, pictures: Path) -> list[LabelledPicture]:
    """COCO's keypoint file; pictures are looked for by the names in it. Raises ModelError naming the file; OSError."""
    try:
        read = msgspec.json.decode(annotations.read_bytes(), type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{annotations}: {error}") from None
    by_image: dict[int, list[_Person]] = {}
    for number, person in enumerate(read.annotations):
        if len(person.keypoints) != 3 * _KEYPOINTS:
            raise ModelError(f"{annotations}: annotations[{number}] has {len(person.keypoints)} numbers, not 51")
        by_image.setdefault(person.image_id, []).append(person)
    found = []
    for image in read.images:
        people = by_image.get(image.id, [])
        labelled = Labelled(
            np.array([p.keypoints for p in people], np.float64).reshape(-1, _KEYPOINTS, 3),
            np.array([p.bbox for p in people], np.float64).reshape(-1, 4),
            np.array([p.area for p in people], np.float64),
            np.array([p.iscrowd for p in people], bool),
        )
        found.append(LabelledPicture(pictures / image.file_name, labelled))
    return found


def precision_on(stored: StoredPose, pictures: list[LabelledPicture]) -> KeypointPrecision:
    """One picture at a time, as a camera's are. Raises ModelError for a picture that cannot be read."""
    model = stored.model
    running = session(str(stored.graph))
    letterbox = Letterbox(model.width, model.height, model.letterbox, model.pad)
    names = list(model.outputs)
    found = []
    for each in pictures:
        read = cv2.imread(str(each.file))
        if read is None:
            raise ModelError(f"{each.file} is no picture")
        pixels = np.ascontiguousarray(np.asarray(read, np.uint8)[..., ::-1])
        answers = running.run(names, {INPUT: letterbox.from_rgb(pixels)[None]})
        people = unmapped(
            people_of(dict(zip(names, answers, strict=True))), letterbox, pixels.shape[1], pixels.shape[0]
        )
        found.append(Posed(people.keypoints[:, list(FROM_18), :2], people.scores))
    return keypoint_precision([each.people for each in pictures], found)

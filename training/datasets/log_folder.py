"""The pictures that a manifest names, decoded from the log into a COCO folder that `rewatch train` reads."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from schemas.messages import AccessUnit
from training.datasets.manifest import Entry, Header, ManifestError
from vision.decoder import CorruptAccessUnit, GopDecoder

Units: TypeAlias = Callable[[str, str, int, int, int], Iterable[tuple[int, AccessUnit]]]
"""camera, topic, partition, first and last offset to the camera's access units with their offsets"""
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9.-]")


def write_folder(folder: Path, header: Header, entries: Iterable[Entry], units: Units) -> int:
    """Returns the number of pictures. `folder` must not be there yet.

    Raises ManifestError for a record that is not the one that was meant, or cannot be decoded, and OSError.
    """
    (folder / "images").mkdir(parents=True)
    (folder / "annotations").mkdir()
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    rows = ["file,source,time_s"]
    for entry, picture in _pictures(entries, units):
        name = f"{_UNSAFE.sub('_', entry.camera)}-{entry.captured_ns}.png"
        done, coded = cv2.imencode(".png", picture)
        assert done
        (folder / "images" / name).write_bytes(coded.tobytes())
        images.append({"id": len(images), "file_name": name, "width": picture.shape[1], "height": picture.shape[0]})
        for box in entry.boxes:
            size = [box.x2 - box.x1, box.y2 - box.y1]
            known = {"id": len(annotations), "image_id": images[-1]["id"]}
            category = header.classes.index(box.label) + 1
            annotations.append({**known, "category_id": category, "bbox": [box.x1, box.y1, *size]})
        rows.append(f'images/{name},"{entry.camera}",{entry.captured_ns / 1e9:.3f}')
    categories = [{"id": number + 1, "name": name} for number, name in enumerate(header.classes)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations" / "instances.json").write_text(json.dumps(content))
    # last: without it nobody could part the pictures, and so a folder that is cut short is noticed
    (folder / "sources.csv").write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    return len(images)


def _pictures(entries: Iterable[Entry], units: Units) -> Iterator[tuple[Entry, NDArray[np.uint8]]]:
    """Each GOP is read and decoded once, as far as it is needed."""
    for (camera, topic, partition, keyframe), group in groupby(
        sorted(entries), key=lambda e: (e.camera, e.topic, e.partition, e.keyframe_offset)
    ):
        own = {entry.offset: entry for entry in group}
        wanted = {entry.captured_ns: entry for entry in own.values()}
        decoder: GopDecoder | None = None
        pictures = []
        for offset, unit in units(camera, topic, partition, keyframe, max(own)):
            if offset in own and hashlib.sha256(unit.data).hexdigest() != own[offset].sha256:
                raise ManifestError(f"{topic}/{partition}: the record at offset {offset} is not the one that was meant")
            decoder = decoder or GopDecoder(unit.codec)
            try:
                pictures += [each for each in decoder.decode(unit) if each.captured_ns in wanted]
            except CorruptAccessUnit as error:
                raise ManifestError(f"{topic}/{partition}, GOP at offset {keyframe}: {error}") from None
        if decoder is not None:
            try:
                pictures += [each for each in decoder.flush() if each.captured_ns in wanted]
            except CorruptAccessUnit as error:
                raise ManifestError(f"{topic}/{partition}, GOP at offset {keyframe}: {error}") from None
        missing = wanted.keys() - {each.captured_ns for each in pictures}
        if missing:
            offset = min(wanted[each].offset for each in missing)
            raise ManifestError(f"{topic}/{partition}: there is no picture of camera {camera} at offset {offset}")
        for each in sorted(pictures, key=lambda picture: picture.captured_ns):
            yield wanted[each.captured_ns], np.asarray(each.frame.to_ndarray(format="bgr24"), np.uint8)

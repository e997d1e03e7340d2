"""A training set as offsets of the log: read as it was written, and only of the records that were meant."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from schemas.messages import AccessUnit
from tests.vision.video import encode
from training.datasets.dataset import LabelledBox
from training.datasets.log_folder import write_folder
from training.datasets.manifest import FORMAT, Entry, Header, ManifestError, read_manifest, write_manifest
from training.datasets.reading import format_of, read_dataset

HEADER = Header(FORMAT, ("block",), "by hand", {"from_ns": 0})
UNITS = encode(count=30)
"""the record at offset n holds number n; B-frames: not in the order of time"""


def entry(offset: int, box: tuple[float, float, float, float] = (5, 10, 21, 26)) -> Entry:
    unit = UNITS[offset]
    keyframe = max(n for n in range(offset + 1) if UNITS[n].keyframe)
    sha256 = hashlib.sha256(unit.data).hexdigest()
    return Entry("cam", "frames", 3, keyframe, offset, unit.captured_ns, sha256, (LabelledBox("block", *box),))


def units(camera: str, topic: str, partition: int, first: int, last: int) -> Iterator[tuple[int, AccessUnit]]:
    assert (camera, topic, partition) == ("cam", "frames", 3)
    yield from list(enumerate(UNITS))[first : last + 1]


ENTRIES = tuple(entry(offset) for offset in (0, 4, 7, 25))


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "set.jsonl"
    write_manifest(path, HEADER, ENTRIES[::-1])
    assert read_manifest(path) == (HEADER, ENTRIES)


def test_its_pictures_become_a_labelled_folder(tmp_path: Path) -> None:
    assert write_folder(tmp_path / "set", HEADER, ENTRIES[::-1], units) == 4
    assert format_of(tmp_path / "set") == "coco"
    made = read_dataset(tmp_path / "set", "coco")
    assert made.classes == ("block",)
    assert sorted(picture.time_s or 0 for picture in made.pictures) == sorted(e.captured_ns / 1e9 for e in ENTRIES)
    assert {(picture.source, picture.boxes) for picture in made.pictures} == {("cam", ENTRIES[0].boxes)}


def test_another_record_at_the_offset_is_refused(tmp_path: Path) -> None:
    other = msgspec.structs.replace(ENTRIES[1], sha256="0" * 64)
    with pytest.raises(ManifestError, match="frames/3: the record at offset 4 is not the one that was meant"):
        write_folder(tmp_path / "set", HEADER, [other], units)


def test_a_picture_that_is_not_there_is_refused(tmp_path: Path) -> None:
    other = msgspec.structs.replace(ENTRIES[1], captured_ns=5)
    with pytest.raises(ManifestError, match="there is no picture of camera cam at offset 4"):
        write_folder(tmp_path / "set", HEADER, [other], units)


def test_what_cannot_be_decoded_is_refused(tmp_path: Path) -> None:
    def cut(*where: object) -> Iterator[tuple[int, AccessUnit]]:
        for offset, unit in enumerate(UNITS[:8]):
            yield offset, msgspec.structs.replace(unit, data=unit.data[:60]) if offset == 0 else unit

    with pytest.raises(ManifestError, match="frames/3, GOP at offset 0: access unit"):
        write_folder(tmp_path / "set", HEADER, ENTRIES[1:3], cut)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"offset":4', '"offset":-4', r"line 3: offset -4 is not behind the keyframe's"),
        ('"label":"block"', '"label":"nut"', r"line 2: unknown class 'nut'"),
        ('"camera":"cam"', '"camera":7', r"line 2: Expected `str`"),
        ("rewatch-manifest-1", "rewatch-manifest-9", "this version reads"),
        ('{"format"', "{", "line 1: "),
    ],
)
def test_a_spoilt_manifest_is_named_with_its_line(tmp_path: Path, old: str, new: str, says: str) -> None:
    path = tmp_path / "set.jsonl"
    write_manifest(path, HEADER, ENTRIES)
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ManifestError, match=says):
        read_manifest(path)


def test_a_manifest_without_pictures_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "set.jsonl"
    write_manifest(path, HEADER, ())
    with pytest.raises(ManifestError, match="names no picture"):
        read_manifest(path)
    path.write_bytes(b"")
    with pytest.raises(ManifestError, match="line 1"):
        read_manifest(path)

"""Pascal VOC folders: an XML file a picture. Pixels are counted from 1, and a box's last one belongs to it."""

from pathlib import Path
from typing import Final
from xml.parsers import expat

from msgspec import Struct

from training.datasets.assembly import Assembly
from training.datasets.class_list import listed_classes
from training.datasets.dataset import Dataset, LabelledBox

#: Bytes of one annotation file that are still read.
MOST_BYTES: Final = 4 << 20
_SAME: Final = 0.01
"""proportions that differ by no more are the same, rounded"""
_CORNERS: Final = ("xmin", "ymin", "xmax", "ymax")


class _Value(Struct, frozen=True):
    path: str
    text: str
    line: int


def read_voc(folder: Path) -> Dataset:
    """Classes are those that labels.txt lists, or else those that occur, by name.

    Raises DatasetError with every problem found, each with its file, line and field.
    """
    assembly = Assembly(folder, "voc")
    listed = listed_classes(assembly)
    seen: set[str] = set()
    files = sorted(folder.rglob("*.xml"))
    if not files and assembly.files:
        assembly.findings.add("Annotations", 0, "", "there is no annotation file (*.xml)")
    for path in files:
        _read_file(path, listed, seen, assembly)
    return assembly.finished(tuple(sorted(seen)) if listed is None else listed)


def _read_file(path: Path, listed: tuple[str, ...] | None, seen: set[str], assembly: Assembly) -> None:
    file, findings = path.relative_to(assembly.folder).as_posix(), assembly.findings
    try:
        values = _values(path)
    except expat.ExpatError as error:
        findings.add(file, error.lineno, "", f"is no XML: {expat.ErrorString(error.code)}")
        return
    except (OSError, ValueError) as error:
        findings.add(file, 0, "", f"cannot be read: {error}")
        return
    names = [value for value in values if value.path == "annotation/filename"]
    if not names:
        findings.add(file, 0, "filename", "is missing")
        return
    picture = assembly.find(names[0].text, file, names[0].line, "filename")
    size = assembly.open(picture) if picture else None
    if picture is None or size is None:
        return
    scale = _scale(values, size, file, assembly)
    if scale is None:
        return
    objects: list[dict[str, _Value]] = []
    for value in values:
        if value.path == "annotation/object":
            objects.append({"": value})
        elif value.path.startswith("annotation/object/") and objects:
            objects[-1].setdefault(value.path.removeprefix("annotation/object/"), value)
    for fields in objects:
        _read_object(fields, file, picture, scale, listed, seen, assembly)


def _scale(values: list[_Value], size: tuple[int, int], file: str, assembly: Assembly) -> tuple[float, float] | None:
    """From the file's pixels to the picture's: pictures are often resized, and the labels left as they were. None, and
    a problem, where the picture has other proportions than the file says."""
    said = []
    for side in ("width", "height"):
        value = next((each for each in values if each.path == f"annotation/size/{side}"), None)
        if value is None or value.text in ("", "0"):
            return 1.0, 1.0
        if not value.text.isdecimal():
            assembly.findings.add(file, value.line, side, f"{value.text!r} is no number of pixels")
            return None
        said.append((int(value.text), value.line))
    (width, line), (height, _) = said
    across, down = size[0] / width, size[1] / height
    if abs(across / down - 1) > _SAME:
        what = f"said to be {width}x{height} pixels, is {size[0]}x{size[1]}"
        assembly.findings.add(file, line, "size", what)
        return None
    return across, down


def _read_object(
    fields: dict[str, _Value],
    file: str,
    picture: str,
    scale: tuple[float, float],
    listed: tuple[str, ...] | None,
    seen: set[str],
    assembly: Assembly,
) -> None:
    name = fields.get("name")
    if name is None or not name.text:
        assembly.findings.add(file, fields[""].line, "name", "is missing")
        return
    if listed is not None and name.text not in listed:
        assembly.findings.add(file, name.line, "name", f"unknown class {name.text!r}")
        return
    corners = []
    for corner in _CORNERS:
        value = fields.get(f"bndbox/{corner}")
        try:
            corners.append(float(value.text if value else ""))
        except ValueError:
            line = value.line if value else fields[""].line
            what = f"{value.text!r} is no number" if value else "is missing"
            assembly.findings.add(file, line, corner, what)
            return
    seen.add(name.text)
    across, down = scale
    left, top = (corners[0] - 1) * across, (corners[1] - 1) * down
    box = LabelledBox(name.text, left, top, corners[2] * across, corners[3] * down)
    assembly.add(picture, box, file, fields["bndbox/xmin"].line, "bndbox")


def _values(path: Path) -> list[_Value]:
    """Every element with its path, its text and its line, in the order of their beginnings.

    Raises ExpatError; ValueError for a file that is too large, or declares entities, which could grow without bound.
    """
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"more than {MOST_BYTES >> 20} MiB")
    parser = expat.ParserCreate()
    parser.buffer_text = True
    stack: list[str] = []
    places: list[int] = []
    found: list[tuple[str, list[str], int]] = []

    def refuse(*_: object) -> None:
        raise ValueError("a document type is declared")

    def start(name: str, _: object) -> None:
        stack.append(name)
        places.append(len(found))
        found.append(("/".join(stack), [], parser.CurrentLineNumber))

    def end(_: str) -> None:
        stack.pop()
        places.pop()

    def text(data: str) -> None:
        if places:
            found[places[-1]][1].append(data)

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    parser.Parse(path.read_bytes(), True)
    return [_Value(path_, "".join(parts).strip(), line) for path_, parts, line in found]

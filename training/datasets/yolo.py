"""YOLO folders: `images/…/a.jpg` beside `labels/…/a.txt`, a line per box: class, middle, width and height (0..1)."""

from pathlib import Path, PurePosixPath

from training.datasets.assembly import Assembly
from training.datasets.class_list import listed_classes
from training.datasets.dataset import Dataset, LabelledBox
from training.datasets.picture_file import SUFFIXES

#: Bytes of one label file that are still read.
MOST_BYTES = 4 << 20
_FIELDS = ("class", "x", "y", "width", "height")


def read_yolo(folder: Path) -> Dataset:
    """Classes come from data.yaml, labels.txt or classes.txt. A picture without a label file shows nothing.

    Raises DatasetError with every problem found, each with its file, line and field.
    """
    assembly = Assembly(folder, "yolo")
    classes = listed_classes(assembly)
    if classes is None:
        assembly.findings.add("data.yaml", 0, "names", "the classes are listed nowhere")
        classes = ()
    used = set()
    for picture in assembly.files:
        if PurePosixPath(picture).parts[0] != "images":
            continue
        size = assembly.open(picture)
        path = folder / _label_file(picture)
        used.add(path)
        if size and path.is_file():
            _read_file(path, picture, size, classes, assembly)
    for path in sorted((folder / "labels").rglob("*.txt")):
        if path not in used:
            file = path.relative_to(folder).as_posix()
            missing = PurePosixPath("images", *PurePosixPath(file).parts[1:]).with_suffix("")
            assembly.findings.add(file, 0, "", f"the picture '{missing}{SUFFIXES[0]}' (or {SUFFIXES[2]}) is missing")
    return assembly.finished(classes)


def _label_file(picture: str) -> PurePosixPath:
    return PurePosixPath("labels", *PurePosixPath(picture).parts[1:]).with_suffix(".txt")


def _read_file(path: Path, picture: str, size: tuple[int, int], classes: tuple[str, ...], assembly: Assembly) -> None:
    file = path.relative_to(assembly.folder).as_posix()
    try:
        if path.stat().st_size > MOST_BYTES:
            assembly.findings.add(file, 0, "", f"more than {MOST_BYTES >> 20} MiB")
            return
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        assembly.findings.add(file, 0, "", f"cannot be read: {error}")
        return
    for number, line in enumerate(lines, 1):
        words = line.split()
        if words:
            _read_line(words, file, number, picture, size, classes, assembly)


def _read_line(
    words: list[str],
    file: str,
    line: int,
    picture: str,
    size: tuple[int, int],
    classes: tuple[str, ...],
    assembly: Assembly,
) -> None:
    if len(words) != len(_FIELDS):
        assembly.findings.add(file, line, "", f"{len(words)} fields: {', '.join(_FIELDS)} are wanted")
        return
    if not words[0].isdecimal() or int(words[0]) >= len(classes):
        assembly.findings.add(file, line, "class", f"unknown class {words[0]!r}: there are {len(classes)}")
        return
    values = []
    for field, word in zip(_FIELDS[1:], words[1:], strict=True):
        try:
            values.append(float(word))
        except ValueError:
            assembly.findings.add(file, line, field, f"{word!r} is no number")
            return
    x, y, width, height = values
    corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    scaled = [value * side for value, side in zip(corners, size * 2, strict=True)]
    assembly.add(picture, LabelledBox(classes[int(words[0])], *scaled), file, line, "x, y, width, height")

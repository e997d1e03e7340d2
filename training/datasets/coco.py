"""COCO folders: `annotations/*.json` with images, annotations and categories; pictures anywhere below the folder."""

import json
from pathlib import Path
from typing import Any, Final

from training.datasets.assembly import Assembly
from training.datasets.dataset import Dataset, LabelledBox
from training.datasets.split import NAME as SPLIT

#: Bytes of one annotation file that are still read.
MOST_BYTES: Final = 512 << 20


def read_coco(folder: Path) -> Dataset:
    """All annotation files of a folder together. Boxes of crowds are left out: they are no single thing.

    Raises DatasetError with every problem found, each with its file and field.
    """
    assembly = Assembly(folder, "coco")
    names: dict[int, str] = {}
    files = sorted((folder / "annotations").glob("*.json")) or [
        path for path in sorted(folder.glob("*.json")) if path.name != SPLIT
    ]
    if not files:
        assembly.findings.add("annotations", 0, "", "there is no annotation file (*.json)")
    for path in files:
        _read_file(path, assembly, names)
    return assembly.finished(tuple(names[key] for key in sorted(names)))


def _read_file(path: Path, assembly: Assembly, names: dict[int, str]) -> None:
    file, findings = path.relative_to(assembly.folder).as_posix(), assembly.findings
    try:
        if path.stat().st_size > MOST_BYTES:
            findings.add(file, 0, "", f"more than {MOST_BYTES >> 20} MiB")
            return
        content = json.loads(path.read_bytes())
    except json.JSONDecodeError as error:
        findings.add(file, error.lineno, f"column {error.colno}", error.msg)
        return
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        findings.add(file, 0, "", f"cannot be read: {error}")
        return
    lists: dict[str, list[Any]] = {}
    for key in ("images", "annotations", "categories"):
        lists[key] = content.get(key) if isinstance(content, dict) else None  # type: ignore[assignment]
        if not isinstance(lists[key], list):
            findings.add(file, 0, key, "a list is wanted")
            return
    own = _categories(lists["categories"], file, assembly)
    for number, name in own.items():
        if names.setdefault(number, name) != name:
            what = f"category {number} is {name!r} here, {names[number]!r} in another file"
            findings.add(file, 0, "categories", what)
    pictures = _pictures(lists["images"], file, assembly)
    for place, annotation in enumerate(lists["annotations"]):
        _read_box(annotation, place, file, assembly, own, pictures)


def _categories(listed: list[Any], file: str, assembly: Assembly) -> dict[int, str]:
    names: dict[int, str] = {}
    for number, category in enumerate(listed):
        field = f"categories[{number}]"
        if not isinstance(category, dict) or not isinstance(category.get("id"), int) or not category.get("name"):
            assembly.findings.add(file, 0, field, "an id and a name are wanted")
        elif category["id"] in names or category["name"] in names.values():
            assembly.findings.add(file, 0, field, f"{category['name']!r} or its id is there twice")
        else:
            names[category["id"]] = str(category["name"])
    return names


def _pictures(listed: list[Any], file: str, assembly: Assembly) -> dict[int, str | None]:
    """Image ids to picture files; None for those with a problem, which is told once."""
    pictures: dict[int, str | None] = {}
    for number, image in enumerate(listed):
        field = f"images[{number}]"
        if not isinstance(image, dict) or not isinstance(image.get("id"), int) or not image.get("file_name"):
            assembly.findings.add(file, 0, field, "an id and a file_name are wanted")
            continue
        name = assembly.find(str(image["file_name"]), file, 0, f"{field}.file_name")
        size = assembly.open(name) if name else None
        if image["id"] in pictures:
            assembly.findings.add(file, 0, f"{field}.id", f"{image['id']} is there twice")
        said = (image.get("width"), image.get("height"))
        if size and None not in said and said != size:
            assembly.findings.add(file, 0, field, f"said to be {said[0]}x{said[1]} pixels, is {size[0]}x{size[1]}")
        pictures[image["id"]] = name if size else None
    return pictures


def _read_box(
    annotation: Any,
    number: int,
    file: str,
    assembly: Assembly,
    names: dict[int, str],
    pictures: dict[int, str | None],
) -> None:
    field, findings = f"annotations[{number}]", assembly.findings
    if not isinstance(annotation, dict):
        findings.add(file, 0, field, "an object is wanted")
        return
    if annotation.get("iscrowd"):
        return
    category, image = annotation.get("category_id"), annotation.get("image_id")
    if not isinstance(category, int) or category not in names:
        findings.add(file, 0, f"{field}.category_id", f"unknown class {category!r}")
        return
    if not isinstance(image, int) or image not in pictures:
        findings.add(file, 0, f"{field}.image_id", f"unknown picture {image!r}")
        return
    box = annotation.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(isinstance(v, int | float) for v in box):
        findings.add(file, 0, f"{field}.bbox", f"{box!r}: x, y, width and height are wanted")
        return
    picture = pictures[image]
    if picture:
        x, y, width, height = (float(value) for value in box)
        labelled = LabelledBox(names[category], x, y, x + width, y + height)
        assembly.add(picture, labelled, file, 0, f"{field}.bbox")

"""Cameras as a person writes them: a YAML file with a list `cameras`. Errors name file, line and field."""

import re
from pathlib import Path
from typing import Any

import msgspec
import yaml

from runtime.logging import redact
from schemas.analysis import CameraSpec


class CameraFileError(Exception):
    """One line per mistake: `file:line: field: what is wrong`."""


def load_cameras(path: Path) -> list[CameraSpec]:
    """Reads all cameras or raises CameraFileError with every mistake found; never only some of them."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise CameraFileError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CameraFileError(f"{path}: not UTF-8 text (byte {error.start})") from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise CameraFileError(f"{path}{_where(error)}: not YAML: {_what(error)}") from error
    entries = document.get("cameras") if isinstance(document, dict) else None
    if root is None or not isinstance(entries, list) or not entries:
        raise CameraFileError(f"{path}:1: cameras: expected a list with at least one camera")
    mistakes = [
        f"{path}:{_line(root, (name,))}: {name}: not known here; the file holds only `cameras`"
        for name in document
        if name != "cameras"
    ]
    cameras: dict[str, CameraSpec] = {}
    for number, entry in enumerate(entries):
        try:
            camera = msgspec.convert(entry, CameraSpec)
        except msgspec.ValidationError as error:
            what, field = _field(str(error))
            line = _line(root, ("cameras", number, *field))
            mistakes.append(f"{path}:{line}: {_dotted(('cameras', number, *field))}: {redact(what)}")
            continue
        if camera.id in cameras:
            line = _line(root, ("cameras", number, "id"))
            mistakes.append(f"{path}:{line}: cameras[{number}].id: {camera.id} is there twice")
        cameras[camera.id] = camera
    if mistakes:
        raise CameraFileError("\n".join(mistakes))
    return list(cameras.values())


_PATH = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>\$[^`]*)`)?$", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")
_UNKNOWN = re.compile(r"unknown field `([^`]+)`")

Field = tuple[str | int, ...]


def _field(message: str) -> tuple[str, Field]:
    """msgspec's "what - at `$.a[0].b`" as the text and the way to the field."""
    match = _PATH.match(message)
    assert match is not None
    field: Field = tuple(name or int(index) for name, index in _STEP.findall(match["path"] or ""))
    unknown = _UNKNOWN.search(match["what"])
    return match["what"], (*field, unknown[1]) if unknown else field


def _dotted(field: Field) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in field).lstrip(".")


def _line(node: Any, field: Field) -> int:
    """The line, from 1, of the field or of the innermost thing around it that is there."""
    line: int = node.start_mark.line
    for step in field:
        if isinstance(node, yaml.MappingNode):
            pair = next(((key, value) for key, value in node.value if key.value == step), None)
            if pair is None:
                break
            line, node = pair[0].start_mark.line, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line
        else:
            break
    return line + 1


def _where(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f":{mark.line + 1}" if mark is not None else ""


def _what(error: yaml.YAMLError) -> str:
    return str(getattr(error, "problem", None) or error)

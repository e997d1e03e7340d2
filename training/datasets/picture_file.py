"""Picture files of a dataset: found by name, measured before they are decoded, decoded to know that they can be."""

import struct
from pathlib import Path, PurePosixPath
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

SUFFIXES: Final = (".jpg", ".jpeg", ".png")
#: Bytes of a file, and pixels a side, that are still read: a small file may unfold to any size.
MOST_BYTES, MOST_PIXELS = 64 << 20, 16_384
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_NO_LENGTH: Final = {0x01, *range(0xD0, 0xDA)}
_FRAMES: Final = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class PictureError(ValueError):
    """The file holds no whole picture; the text says why."""


def picture_files(folder: Path) -> dict[str, Path]:
    """Every picture below a folder, by its path relative to it; links that lead out of the folder are left out."""
    root = folder.resolve()
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.is_file() and path.resolve().is_relative_to(root):
            found[path.relative_to(folder).as_posix()] = path
    return found


def match(name: str, files: dict[str, Path]) -> str | None:
    """The file that an annotation calls `name`: the one whose path is it, or ends in it; None for none.

    A name may lack its suffix, as some VOC files' do. Raises PictureError for a name that leaves the folder, or that
    fits several files.
    """
    wanted = PurePosixPath(name.replace("\\", "/"))
    if wanted.is_absolute() or ".." in wanted.parts or not wanted.parts:
        raise PictureError(f"{name!r} leaves the folder")
    if str(wanted) in files:
        return str(wanted)
    endings = [f"/{wanted}"] if wanted.suffix.lower() in SUFFIXES else [f"/{wanted}{suffix}" for suffix in SUFFIXES]
    fitting = [file for file in files if f"/{file}".endswith(tuple(endings))]
    if len(fitting) > 1:
        raise PictureError(f"{name!r} may be {fitting[0]} or {fitting[1]}")
    return fitting[0] if fitting else None


def read_picture(path: Path) -> NDArray[np.uint8]:
    """uint8 [H, W, 3] BGR, whole. Raises PictureError for anything less."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise PictureError(f"more than {MOST_BYTES >> 20} MiB")
        content = path.read_bytes()
    except OSError as error:
        raise PictureError(f"cannot be read: {error.strerror}") from None
    width, height = measured(content)
    if not (0 < width <= MOST_PIXELS and 0 < height <= MOST_PIXELS):
        raise PictureError(f"{width}x{height} pixels: from 1 to {MOST_PIXELS} a side are read")
    # a JPEG that was cut off decodes, its end grey
    if content[:2] == b"\xff\xd8" and b"\xff\xd9" not in content[-1024:]:
        raise PictureError("the file is cut off")
    try:
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        picture = None
    if picture is None or picture.shape[:2] != (height, width):
        raise PictureError("cannot be decoded")
    return np.asarray(picture, np.uint8)


def measured(content: bytes) -> tuple[int, int]:
    """Width and height that a PNG's or JPEG's header tells. Raises PictureError for another file."""
    try:
        if content[:8] == _PNG:
            width, height = struct.unpack(">II", content[16:24])
            return width, height
        if content[:2] == b"\xff\xd8":
            return _jpeg_size(content)
    except (struct.error, IndexError):
        raise PictureError("the file is cut off") from None
    raise PictureError("neither a JPEG nor a PNG" if content else "the file is empty")


def _jpeg_size(content: bytes) -> tuple[int, int]:
    """Walks over the segments to the frame header (ITU T.81, B.2.2)."""
    at = 2
    while True:
        while content[at] == 0xFF and content[at + 1] == 0xFF:
            at += 1
        if content[at] != 0xFF:
            raise PictureError("cannot be decoded")
        kind = content[at + 1]
        if kind in _FRAMES:
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            return width, height
        at += 2 if kind in _NO_LENGTH else 2 + struct.unpack(">H", content[at + 2 : at + 4])[0]

"""A multipart form, its one file streamed to disk while it arrives: never in memory, never twice on disk."""

import asyncio
import contextlib
import errno
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, Any, Final

from msgspec import Struct
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

FIELD_BYTES: Final = 256 * 1024
MAX_PARTS: Final = 16
SILENCE_SECONDS: Final = 30.0
_WRITE_BYTES: Final = 1024 * 1024
_SPARE_BYTES: Final = 256 * 1024 * 1024
"""of the disk, left for others"""


class UploadRefused(Exception):
    """`status` is the HTTP status, the text is for people."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Form(Struct):
    fields: dict[str, str]
    file_name: str
    size: int


def check_length(declared: int | None, limit: int, directory: Path) -> None:
    """Before anything is read. The form around the file is allowed for."""
    if declared is None:
        return
    if declared > limit + FIELD_BYTES * 2:
        raise UploadRefused(413, f"file: {declared} bytes are more than the {limit} allowed here")
    if declared > shutil.disk_usage(directory).free - _SPARE_BYTES:
        raise UploadRefused(507, "the gateway's disk has no room for this file")


async def receive(chunks: AsyncIterator[bytes], content_type: str, target: Path, limit: int) -> Form:
    """Writes the part named `file` to `target`. Raises UploadRefused; `target` is then gone again."""
    parser = _Parser(content_type, limit)
    try:
        with await asyncio.to_thread(target.open, "xb") as file:
            async for chunk in _awaited(chunks):
                parser.feed(chunk)
                if parser.waiting_bytes >= _WRITE_BYTES:
                    await _write(file, parser.take())
            await _write(file, parser.take())
        return parser.form()
    except BaseException:
        _discard(target)
        raise


def _discard(target: Path) -> None:
    with contextlib.suppress(OSError):
        target.unlink(missing_ok=True)


async def _awaited(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    while True:
        try:
            chunk = await asyncio.wait_for(anext(chunks), SILENCE_SECONDS)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise UploadRefused(408, f"nothing arrived for {SILENCE_SECONDS:.0f} s") from error
        yield chunk


async def _write(file: IO[bytes], blocks: list[bytes]) -> None:
    try:
        await asyncio.to_thread(file.writelines, blocks)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UploadRefused(507, "the gateway's disk is full") from error
        raise


class _Parser:
    def __init__(self, content_type: str, limit: int) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise UploadRefused(415, "multipart/form-data with a part `file` and a part `model` is wanted")
        self._limit = limit
        self._fields: dict[str, bytearray] = {}
        self._file_name: str | None = None
        self._size = 0
        self._parts = 0
        self._complete = False
        self._part = ""
        self._header_name = self._header_value = b""
        self._disposition = b""
        self._blocks: list[bytes] = []
        self.waiting_bytes = 0
        callbacks: Any = {
            "on_part_begin": self._part_begins,
            "on_header_field": self._header_field,
            "on_header_value": self._header_text,
            "on_header_end": self._header_ends,
            "on_headers_finished": self._headers_end,
            "on_part_data": self._data,
            "on_end": self._ends,
        }
        self._parser = MultipartParser(boundary, callbacks)

    def feed(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise UploadRefused(422, f"the form is damaged: {error}") from error

    def take(self) -> list[bytes]:
        blocks, self._blocks, self.waiting_bytes = self._blocks, [], 0
        return blocks

    def form(self) -> Form:
        if not self._complete:
            raise UploadRefused(422, "the form ends before its last boundary")
        if self._file_name is None:
            raise UploadRefused(422, "file: missing; a part `file` with the video is wanted")
        if self._size == 0:
            raise UploadRefused(422, "file: empty")
        fields = {name: bytes(value).decode("utf-8", "replace") for name, value in self._fields.items()}
        return Form(fields, self._file_name, self._size)

    def _part_begins(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise UploadRefused(422, f"the form has more than {MAX_PARTS} parts")
        self._header_name = self._header_value = self._disposition = b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _header_text(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header_ends(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_name = self._header_value = b""

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._part = options.get(b"name", b"").decode("utf-8", "replace")
        if self._part != "file":
            self._fields[self._part] = bytearray()
        elif self._file_name is not None:
            raise UploadRefused(422, "file: only one is wanted")
        else:
            self._file_name = options.get(b"filename", b"upload").decode("utf-8", "replace")

    def _data(self, data: bytes, start: int, end: int) -> None:
        block = data[start:end]
        if self._part != "file":
            field = self._fields[self._part]
            if len(field) + len(block) > FIELD_BYTES:
                raise UploadRefused(413, f"{self._part}: longer than {FIELD_BYTES} bytes")
            field += block
            return
        self._size += len(block)
        if self._size > self._limit:
            raise UploadRefused(413, f"file: larger than the {self._limit} bytes allowed here")
        self._blocks.append(block)
        self.waiting_bytes += len(block)

    def _ends(self) -> None:
        self._complete = True


def suffix_of(file_name: str) -> str:
    """The ending, which some containers are recognised by, if it is harmless."""
    match = re.search(r"\.[A-Za-z0-9]{1,8}$", file_name)
    return match[0].lower() if match else ""

"""Pinned downloads, from a real HTTP server on this machine."""

import contextlib
import hashlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import ClassVar

import pytest

from tests.training.web import listening
from training.contract import ModelError
from training.download import fetch

CONTENT = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(CONTENT).hexdigest()
pytestmark = pytest.mark.integration


class Files(BaseHTTPRequestHandler):
    """/good resumes; /whole can't; /cut breaks off half-way, once; /wrong sends other bytes; /long sends for ever."""

    cut: ClassVar[bool] = True
    ranges: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        Files.ranges.append(self.headers.get("Range"))
        if self.path == "/long":
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # the client hangs up
                for _ in range(64):
                    self.wfile.write(CONTENT)
            return
        if self.path not in ("/good", "/whole", "/cut", "/wrong"):
            self.send_error(404)
            return
        content = CONTENT[::-1] if self.path == "/wrong" else CONTENT
        start = 0
        if self.headers.get("Range") and self.path != "/whole":
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if self.path == "/cut" and Files.cut:
            Files.cut = False
            content = content[: len(content) // 2]
        self.wfile.write(content[start:])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    Files.cut, Files.ranges = True, []
    with listening(Files) as address:
        yield address


def get(target: Path, *urls: str) -> list[tuple[int, int]]:
    seen: list[tuple[int, int]] = []
    fetch(urls, SHA256, len(CONTENT), target, lambda done, total: seen.append((done, total)))
    assert target.read_bytes() == CONTENT
    assert not target.with_name(target.name + ".part").exists()
    return seen


def test_fetched_once(server: str, tmp_path: Path) -> None:
    seen = get(tmp_path / "deep" / "file", f"{server}/good")
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [d for d, _ in seen] == sorted(d for d, _ in seen)
    get(tmp_path / "deep" / "file", f"{server}/good")
    assert Files.ranges == [None]


def test_goes_on_where_it_broke_off(server: str, tmp_path: Path) -> None:
    target = tmp_path / "file"
    with pytest.raises(ModelError, match=f"{len(CONTENT) // 2} of {len(CONTENT)} bytes are kept"):
        get(target, f"{server}/cut")
    assert not target.exists()
    seen = get(target, f"{server}/cut")
    assert Files.ranges == [None, f"bytes={len(CONTENT) // 2}-"]
    assert seen[0][0] > len(CONTENT) // 2


def test_a_server_that_cannot_resume_sends_all(server: str, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(CONTENT[:1000])
    get(tmp_path / "file", f"{server}/whole")


def test_wrong_bytes_are_refused_and_not_kept(server: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"sha256 .* instead of .* refused"):
        get(tmp_path / "file", f"{server}/wrong")
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_beginning_is_refused_and_the_next_try_is_clean(server: str, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(b"x" * 1000)
    with pytest.raises(ModelError, match="refused"):
        get(tmp_path / "file", f"{server}/good")
    get(tmp_path / "file", f"{server}/good")


def test_more_than_was_pinned_does_not_fill_the_disk(server: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="refused"):
        get(tmp_path / "file", f"{server}/long")
    assert list(tmp_path.iterdir()) == []


def test_the_next_address_is_tried(server: str, tmp_path: Path) -> None:
    get(tmp_path / "file", f"{server}/none", f"{server}/wrong", f"{server}/good")


def test_no_address_answers(server: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"127\.0\.0\.1: HTTP 404; 127\.0\.0\.1: .*[Rr]efused"):
        get(tmp_path / "file", f"{server}/none", "http://127.0.0.1:1/file")


def test_a_file_that_was_changed_is_fetched_again(server: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"changed")
    get(tmp_path / "file", f"{server}/good")

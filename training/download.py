"""Fetches a file whose digest is known. What has arrived is kept: a broken download goes on where it stopped."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx

from training.contract import ModelError
from training.model_card import digest

Progress = Callable[[int, int], None]
"""told (bytes so far, bytes in all) as they arrive"""

_TIMEOUT = httpx.Timeout(30.0, connect=10.0)


def fetch(urls: Sequence[str], sha256: str, size: int, target: Path, progress: Progress) -> Path:
    """The file at `target`, which is there and right when this returns. A right one that is there isn't fetched again.

    Each address is tried once. Raises ModelError when none answered (what arrived is kept beside the target as
    `.part`) and when the bytes aren't those that were pinned (nothing is kept).
    """
    if target.is_file() and digest(target) == sha256:
        progress(size, size)
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    failures = []
    for url in urls:
        try:
            _fetch_one(url, part, size, progress)
        except httpx.HTTPError as error:
            failures.append(f"{httpx.URL(url).host}: {_reason(error)}")
            continue
        found = digest(part)
        if found == sha256:
            os.replace(part, target)
            return target
        part.unlink()
        failures.append(f"{httpx.URL(url).host}: sha256 {found} instead of {sha256}, refused")
    kept = f"; {part.stat().st_size} of {size} bytes are kept, the next try goes on from there" if part.exists() else ""
    raise ModelError("could not be fetched: " + "; ".join(failures) + kept)


def _fetch_one(url: str, part: Path, size: int, progress: Progress) -> None:
    """Appends to `part` what the server still has. A server that can't resume sends all, and the part begins anew."""
    have = part.stat().st_size if part.exists() else 0
    if have == size:
        return
    if have > size:
        part.unlink()
        have = 0
    headers = {"Range": f"bytes={have}-", "Accept-Encoding": "identity"} if have else {"Accept-Encoding": "identity"}
    with httpx.stream("GET", url, headers=headers, timeout=_TIMEOUT, follow_redirects=True) as response:
        response.raise_for_status()
        resumed = response.status_code == httpx.codes.PARTIAL_CONTENT and response.headers.get(
            "content-range", ""
        ).startswith(f"bytes {have}-")
        done = have if resumed else 0
        with part.open("ab" if resumed else "wb") as file:
            for chunk in response.iter_bytes(1 << 16):
                file.write(chunk)
                done += len(chunk)
                if done > size:
                    # more than was pinned can't be right: don't fill the disk with it
                    break
                progress(done, size)


def _reason(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"HTTP {error.response.status_code}"
    return str(error) or type(error).__name__

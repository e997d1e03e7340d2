"""Where installed servers are kept: outside the checkout, complete or not at all."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from runtime.config import Settings

_MARKER = ".complete"


def cache_directory() -> Path:
    """`REWATCH_CACHE`, by default ~/.cache/rewatch. Not created here."""
    return Settings().cache.expanduser()


def is_installed(target: Path) -> bool:
    """True if `installed` has finished for this folder."""
    return (target / _MARKER).is_file()


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Exclusive between processes; freed by the kernel should the holder die."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def installed(target: Path, build: Callable[[Path], None]) -> bool:
    """Make sure that `target` holds what `build(target)` makes; False if it was there already.

    An interrupted build leaves a folder without its marker, which the next call deletes and builds again.
    Two processes asking at once wait for each other. Raises what `build` raises.
    """
    if is_installed(target):
        return False
    with _locked(target.with_name(f"{target.name}.lock")):
        if is_installed(target):
            return False
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        build(target)
        os.sync()  # the marker must not survive a power cut that what it vouches for did not
        (target / _MARKER).touch()
    return True

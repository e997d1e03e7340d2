"""Which versions of a model were live, and when that changed: `history.json` beside its configuration."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct

from training.contract import ModelError
from training.model_repository import draft_of

_FILE: Final = "history.json"
_KEPT: Final = 100


class Change(Struct, frozen=True):
    action: Literal["promote", "rollback"]
    before: int
    live: int
    """the version from then on"""
    at: str
    """UTC, to the second"""


class History(Struct, frozen=True):
    lived: tuple[int, ...]
    """versions that were live one after the other, without those that were rolled back; the last one is live now"""
    changes: tuple[Change, ...] = ()


def read_history(folder: Path, live: int) -> History:
    """`live` is what the configuration says; it counts where a history is missing or knows nothing of it. Raises
    ModelError."""
    try:
        history = msgspec.json.decode((folder / _FILE).read_bytes(), type=History)
    except FileNotFoundError:
        return History((live,))
    except (OSError, msgspec.DecodeError) as error:
        raise ModelError(f"{folder / _FILE}: {error}") from None
    return history if history.lived[-1:] == (live,) else msgspec.structs.replace(history, lived=(*history.lived, live))


def draft_history(folder: Path, history: History) -> Path:
    """To be renamed to `history_file`. Raises OSError."""
    kept = History(history.lived[-_KEPT:], history.changes[-_KEPT:])
    return draft_of(history_file(folder), msgspec.json.format(msgspec.json.encode(kept), indent=2) + b"\n")


def history_file(folder: Path) -> Path:
    return folder / _FILE


def promoted(history: History, version: int) -> History:
    return _changed(history, "promote", (*history.lived, version))


def rolled_back(history: History) -> History:
    """Raises ModelError where nothing was live before."""
    if len(history.lived) < 2:
        raise ModelError(f"version {history.lived[-1]} is the first that was live: there is nothing to go back to")
    return _changed(history, "rollback", history.lived[:-1])


def _changed(history: History, action: Literal["promote", "rollback"], lived: tuple[int, ...]) -> History:
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return History(lived, (*history.changes, Change(action, history.lived[-1], lived[-1], at)))

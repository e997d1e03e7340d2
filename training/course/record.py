"""What a training folder's checkpoint belongs to, and how far it got: `run.json` beside it."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from training.model_repository import draft_of

CHECKPOINT: Final = "checkpoint.pt"
_FILE: Final = "run.json"


class Basis(Struct, frozen=True):
    """Everything that the weights depend on; `start` and `rehearsal` are empty where there is none."""

    data: str
    """sha256 of the labelled pictures and their split"""
    size: tuple[int, int]
    classes: tuple[str, ...]
    start: str
    """sha256 of the graph that it goes on from"""
    rehearsal: str
    rehearse_share: float
    steps: int
    batch: int
    peak_rate: float
    seed: int
    threads: int
    weight_decay: float = 0.02
    plain_share: float = 0.1
    average_decay: float | None = None
    """None: what is usual from nothing, or from a model"""
    variation: float = 1.0


class Record(Struct, frozen=True):
    basis: Basis
    judged: dict[int, float] = {}
    """mAP50 on the validation part, by step"""
    published: int = 0
    """the version that came of it; 0: none yet"""


class RunError(ValueError):
    """The folder's checkpoint is of something else; the text says what differs and what to do."""


@contextlib.contextmanager
def alone(work: Path) -> Iterator[None]:
    """One training at a time in a folder; a process that dies lets go. Raises RunError."""
    work.mkdir(parents=True, exist_ok=True)
    handle = os.open(work, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise RunError(f"{work}: another training is going on there") from None
    finally:
        os.close(handle)


def read_record(work: Path) -> Record | None:
    """Raises RunError for a file that is none."""
    try:
        return msgspec.json.decode((work / _FILE).read_bytes(), type=Record)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise RunError(f"{work / _FILE}: {error}; --anew begins again") from None


def write_record(work: Path, record: Record) -> None:
    """Whole or not at all. Raises OSError."""
    draft_of(work / _FILE, msgspec.json.format(msgspec.json.encode(record), indent=1)).replace(work / _FILE)


def forget(work: Path) -> None:
    """The letterboxed pictures stay: they are found by what they are of."""
    for name in (CHECKPOINT, _FILE):
        (work / name).unlink(missing_ok=True)


def check_basis(work: Path, found: Basis, wanted: Basis) -> None:
    """Raises RunError where a checkpoint was made from something else: going on from it would be neither. Only the end
    may be another; the card then says which were planned."""
    if named := differences(found, msgspec.structs.replace(wanted, steps=found.steps)):
        raise RunError(f"{work} holds an unfinished training that differs in {named}; --anew begins again")


def differences(found: Basis, wanted: Basis) -> str:
    """The fields that differ, each with both values; empty where none does."""
    fields = [name for name in Basis.__struct_fields__ if getattr(found, name) != getattr(wanted, name)]
    return ", ".join(f"{name.replace('_', ' ')} ({_pair(found, wanted, name)})" for name in fields)


def _pair(found: Basis, wanted: Basis, name: str) -> str:
    texts = []
    for basis in (found, wanted):
        value = getattr(basis, name)
        texts.append(value[:12] or "none" if isinstance(value, str) else str(value))
    return f"{texts[0]}, now {texts[1]}"

"""Where and when a picture was taken: from `sources.csv` beside the dataset, or from its file's name."""

import csv
import re
from pathlib import Path, PurePosixPath
from typing import Final

from msgspec import Struct

from training.datasets.dataset import Findings

NAME: Final = "sources.csv"
_COLUMNS: Final = ["file", "source", "time_s"]
_NUMBERED: Final = re.compile(r"(.*?)[-_ .]*(\d+)")


class Origin(Struct, frozen=True):
    """`time_s` counts seconds, or pictures where the name has a number only; None where nobody knows."""

    source: str
    time_s: float | None


def from_name(file: str) -> Origin:
    """`belt-3_0017.jpg` is number 17 of the source `belt-3`; a name without a number, or of nothing else, is a source
    of its own: what is not known to belong together may be parted."""
    path = PurePosixPath(file)
    found = _NUMBERED.fullmatch(path.stem)
    if not found or not found[1]:
        return Origin(str(path.with_suffix("")), None)
    return Origin(str(path.with_name(found[1])), float(found[2]))


def read_origins(folder: Path, findings: Findings) -> dict[str, Origin]:
    """What `sources.csv` says (columns file, source, time_s, the last may be empty); empty where there is none."""
    path = folder / NAME
    if not path.is_file():
        return {}
    origins: dict[str, Origin] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file)
            if next(rows, None) != _COLUMNS:
                findings.add(NAME, 1, "", f"the first line must be {','.join(_COLUMNS)}")
                return {}
            for row in rows:
                _read_row(row, rows.line_num, origins, findings)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        findings.add(NAME, 0, "", f"cannot be read: {error}")
    return origins


def _read_row(row: list[str], line: int, origins: dict[str, Origin], findings: Findings) -> None:
    if not row:
        return
    if len(row) != len(_COLUMNS) or not row[0] or not row[1]:
        findings.add(NAME, line, "", f"{len(row)} fields: file, source and time_s are wanted")
        return
    try:
        time_s = float(row[2]) if row[2] else None
    except ValueError:
        findings.add(NAME, line, "time_s", f"{row[2]!r} is no number")
        return
    if time_s is not None and not abs(time_s) < 1e12:
        findings.add(NAME, line, "time_s", f"{row[2]!r} is no time in seconds")
        return
    if row[0] in origins:
        findings.add(NAME, line, "file", f"{row[0]} is there twice")
        return
    origins[row[0]] = Origin(row[1], time_s)

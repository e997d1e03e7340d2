"""A folder of hourly Parquet files that are whole or not there, and never changed.

Layout: `<folder>/<table>/hour=2025-11-21T06/<level>-<written>-<pid>-<number>.parquet`, the hour of capture time in UTC.
A file appears by rename after an fsync. Merging makes one of many and drops superseded rows; a crash between writing
the merged file and deleting its sources leaves rows twice, which `newest_of` doesn't show.
"""

import contextlib
import fcntl
import itertools
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import duckdb

from processors.parquet_columns import TIME_COLUMN
from processors.store import TABLES, Query, Table
from runtime.logging import logger

MERGE: Final = 16
"""files of one level in one hour that become one of the next: a row is rewritten about three times in all"""
MERGE_BYTES: Final = 64 * 1024 * 1024
"""files from here on are left alone: merging sorts its rows in memory"""
_ABANDONED_SECONDS: Final = 600

_log = logger("store")


class ParquetFolder:
    """Raises OSError. Several processes may write to one folder; one of them merges."""

    def __init__(self, folder: Path, connection: Any) -> None:
        self.path = folder.expanduser().resolve()
        self._connection = connection
        self._numbers = itertools.count()
        self._last_written = 0
        self._merge_lock: int | None = None
        for table in TABLES:
            (self.path / table).mkdir(parents=True, exist_ok=True)
        self._untidy = {hour for hour in self.path.glob("*/hour=*") if len(list(hour.glob("*.parquet"))) > 1}
        self._remove_abandoned()

    def hour(self, table: Table, ns: int) -> Path:
        hour = datetime.fromtimestamp(ns // 1_000_000_000, UTC)
        return self.path / table / f"hour={hour:%Y-%m-%dT%H}"

    def files(self, query: Query) -> list[Path]:
        """All that may hold rows of the query's time."""
        first = self.hour(query.table, max(0, query.start_ns)).name
        last = self.hour(query.table, max(0, query.end_ns - 1)).name
        return sorted(
            file
            for hour in (self.path / query.table).glob("hour=*")
            if first <= hour.name <= last
            for file in hour.glob("*.parquet")
        )

    def written(self) -> int:
        """Rises with every call, also over restarts: decides between equal revisions."""
        self._last_written = max(time.time_ns(), self._last_written + 1)
        return self._last_written

    def save(self, hour: Path, level: int, select: str, parameters: Sequence[Any] = ()) -> None:
        """The result of `select` as a file of its own, durable when this returns. Raises OSError and duckdb.Error."""
        if not hour.is_dir():
            hour.mkdir(exist_ok=True)
            _sync(hour.parent)
        name = f"{level}-{self.written():020d}-{os.getpid()}-{next(self._numbers)}.parquet"
        temporary = hour / f".{name}.tmp"
        try:
            self._connection.execute(
                f"COPY ({select}) TO {quote(str(temporary))} (FORMAT parquet, COMPRESSION zstd)", parameters
            )
            _sync(temporary)
            temporary.rename(hour / name)
            _sync(hour)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        self._untidy.add(hour)

    def tidy(self, hours: Iterable[Path]) -> None:
        """Merge what has become many in `hours`, and one hour before them. What can't be merged is left as it is."""
        written = sorted(hours)
        for hour, files, level in (*self._many(written), *self._one_past(written)):
            try:
                self._merge(hour, files, level)
            except (OSError, duckdb.Error) as error:
                _log.warning("files not merged", hour=str(hour), why=str(error))

    def close(self) -> None:
        if self._merge_lock is not None:
            os.close(self._merge_lock)
            self._merge_lock = None

    def _many(self, hours: Iterable[Path]) -> Iterator[tuple[Path, list[Path], int]]:
        for hour in hours:
            levels: dict[int, list[Path]] = {}
            for file in _small(hour):
                levels.setdefault(_level(file), []).append(file)
            for level, files in levels.items():
                if len(files) >= MERGE:
                    yield hour, files, level + 1

    def _one_past(self, written: Sequence[Path]) -> Iterator[tuple[Path, list[Path], int]]:
        """One a call, so that no write waits long."""
        latest = max((hour.name for hour in written), default="")
        for hour in sorted(self._untidy):
            if hour.name < latest and hour not in written:
                self._untidy.discard(hour)
                files = _small(hour)
                if len(files) > 1:
                    yield hour, files, max(map(_level, files))
                    self._untidy.discard(hour)
                    return

    def _merge(self, hour: Path, files: Sequence[Path], level: int) -> None:
        if not self._may_merge():
            return
        column = next(TIME_COLUMN[table] for table in TABLES if table == hour.parent.name)
        self.save(hour, level, f"SELECT * EXCLUDE (place) FROM ({newest_of(files)}) ORDER BY {column}")
        for file in files:
            file.unlink()

    def _may_merge(self) -> bool:
        if self._merge_lock is None:
            lock = os.open(self.path / ".merge.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                return False
            self._merge_lock = lock
        return True

    def _remove_abandoned(self) -> None:
        for file in self.path.glob("*/hour=*/.*.tmp"):
            with contextlib.suppress(OSError):
                if time.time() - file.stat().st_mtime > _ABANDONED_SECONDS:
                    file.unlink()


def newest_of(files: Sequence[Path], where: str = "true") -> str:
    """A select of the one row that counts of every identity; its column `place` is 1."""
    return (
        "SELECT *, row_number() OVER (PARTITION BY identity ORDER BY revision DESC, written DESC) AS place "
        f"FROM {parquet(files)} WHERE {where} QUALIFY place = 1"
    )


def parquet(files: Sequence[Path]) -> str:
    names = ", ".join(quote(str(file)) for file in files)
    return f"read_parquet([{names}], union_by_name = true, hive_partitioning = false)"


def quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _small(hour: Path) -> list[Path]:
    return sorted(file for file in hour.glob("*.parquet") if file.stat().st_size < MERGE_BYTES)


def _level(file: Path) -> int:
    return int(file.name.partition("-")[0])


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

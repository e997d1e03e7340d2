"""Results as hourly Parquet files, written and asked through an embedded DuckDB: a store without a server."""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import duckdb

from processors.errors import RetryError
from processors.parquet_columns import COLUMNS, TIME_COLUMN, to_record, to_row
from processors.parquet_folder import ParquetFolder, newest_of, parquet, quote
from processors.store import TABLES, Query, Record, Refused, Table, captured_ns, newest, table_of
from schemas.results import identity

_ATTEMPTS: Final = 5
_SERVICE: Final = "duckdb"


class DuckStore:
    """Raises RetryError when the folder can't be made. See ParquetFolder for what lies in it."""

    def __init__(self, folder: Path, memory: str = "512MB") -> None:
        self._connection = connect(memory, folder.expanduser().resolve() / ".spill")
        try:
            self._folder = ParquetFolder(folder, self._connection)
        except OSError as error:
            raise RetryError(_SERVICE, str(error)) from error

    def write(self, records: Sequence[Record]) -> Sequence[Refused]:
        hours: dict[Path, list[Record]] = {}
        for record in newest(records):
            hours.setdefault(self._folder.hour(table_of(record), captured_ns(record)), []).append(record)
        refused: list[Refused] = []
        try:
            for hour, group in hours.items():
                refused += self._write_hour(hour, group)
        except (OSError, duckdb.IOException, duckdb.OutOfMemoryException) as error:
            raise RetryError(_SERVICE, str(error)) from error
        self._folder.tidy(hours)
        return refused

    def _write_hour(self, hour: Path, records: Sequence[Record]) -> list[Refused]:
        table = table_of(records[0])
        select = (
            "SELECT identity, ?::BIGINT AS written, message.* FROM (SELECT unnest(?::VARCHAR[]) AS identity, "
            f"from_json_strict(unnest(?::VARCHAR[]), {_structure(table)}) AS message) "
            f"ORDER BY message.{TIME_COLUMN[table]}"
        )
        identities = [identity(record) for record in records]
        rows = [to_row(record) for record in records]
        try:
            self._folder.save(hour, 0, select, [self._folder.written(), identities, rows])
        except (duckdb.ConversionException, duckdb.InvalidInputException) as error:
            if len(records) == 1:
                return [Refused(records[0], str(error))]
            half = len(records) // 2
            return self._write_hour(hour, records[:half]) + self._write_hour(hour, records[half:])
        return []

    def read(self, query: Query) -> list[Record]:
        order = f"ORDER BY {TIME_COLUMN[query.table]} DESC, identity DESC"
        limit = "" if query.limit is None else f"LIMIT {query.limit:d}"
        rows = self._ask(query, lambda files, where: f"FROM ({newest_of(files, where)}) {order} {limit}")
        return [to_record(query.table, row) for row in reversed(rows)]

    def count(self, query: Query) -> int:
        rows = self._ask(
            query,
            lambda files, where: f"SELECT count(DISTINCT identity) AS rows FROM {parquet(files)} WHERE {where}",
        )
        return int(rows[0]["rows"]) if rows else 0

    def close(self) -> None:
        self._connection.close()
        self._folder.close()

    def _ask(self, query: Query, sql: Any) -> list[dict[str, Any]]:
        column = TIME_COLUMN[query.table]
        where = f"{column} >= {query.start_ns:d} AND {column} < {query.end_ns:d}"
        parameters = []
        if query.camera is not None:
            where += " AND camera = ?"
            parameters.append(query.camera)
        for attempt in itertools.count(1):
            try:
                files = self._folder.files(query)
                if not files:
                    return []
                # a cursor of its own: the writing thread uses the connection meanwhile
                with self._connection.cursor() as cursor:
                    result = cursor.execute(sql(files, where), parameters)
                    names = [field[0] for field in result.description]
                    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
            except (OSError, duckdb.IOException) as error:
                # a file was merged into another between listing and opening it
                if attempt == _ATTEMPTS:
                    raise RetryError(_SERVICE, str(error)) from error
        raise AssertionError("unreachable")


def connect(memory: str = "512MB", spill: Path | None = None) -> Any:
    """A DuckDB that never reads the network, with one thread."""
    settings: dict[str, Any] = {"threads": 1, "memory_limit": memory, "autoinstall_known_extensions": "false"}
    if spill is not None:
        settings["temp_directory"] = str(spill)
    return duckdb.connect(":memory:", config=settings)


def create_views(connection: Any, folder: Path) -> None:
    """Views named like the tables: the row that counts of every identity below `folder`."""
    for table in TABLES:
        if any((folder / table).glob("hour=*/*.parquet")):
            source = newest_of([folder.resolve() / table / "hour=*" / "*.parquet"])
        else:
            nothing = f"SELECT from_json('{{}}', {_structure(table)}) AS message"
            source = f"SELECT '' AS identity, 0 AS place, 0 AS written, message.* FROM ({nothing}) WHERE false"
        connection.execute(f"CREATE OR REPLACE VIEW {table} AS SELECT * EXCLUDE (place, written) FROM ({source})")


def _structure(table: Table) -> str:
    return quote(json.dumps(COLUMNS[table]))

"""`rewatch query`: asks the store that the settings name."""

import csv
import sys
from enum import StrEnum
from typing import Annotated

import duckdb
import msgspec
import typer
from rich.console import Console

from cli.moment import FORMS, nanoseconds
from cli.reach import reached
from cli.table import table
from processors.duck import connect, create_views
from processors.errors import RetryError
from processors.store import MAX_NS, Query, Record, Store, Table, captured_ns
from processors.store_choice import open_store
from schemas.messages import Detections, Event, Flow
from schemas.results import retracted, rfc3339, to_json

app = typer.Typer(no_args_is_help=True, help="Events, detections, flow and ledger from the store.")

Camera = Annotated[str | None, typer.Option(help="One camera; default: all.")]
From = Annotated[str | None, typer.Option("--from", help=f"Capture time: {FORMS}.")]
To = Annotated[str | None, typer.Option("--to", help="Likewise; this moment itself is left out.")]
Limit = Annotated[int, typer.Option(min=1, help="The latest so many.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line instead of a table.")]
Retracted = Annotated[bool, typer.Option("--retracted", help="Also what a replay has taken back.")]


class What(StrEnum):
    events = "events"
    detections = "detections"
    flow = "flow"
    ledger = "ledger"


def _asked(what: Table, camera: str | None, start: str | None, end: str | None, limit: int | None) -> Query:
    return Query(what, _ns(start, 0, "--from"), _ns(end, MAX_NS, "--to"), camera, limit)


def _ns(text: str | None, otherwise: int, option: str) -> int:
    return otherwise if text is None else nanoseconds(text, option)


def _open() -> Store:
    settings = reached()
    if settings.store == "duckdb" and not settings.store_dir.is_dir():
        raise typer.BadParameter(f"there is no store in {settings.store_dir}; set REWATCH_STORE_DIR")
    return open_store(settings)


def _show(query: Query, as_json: bool, everything: bool = True) -> None:
    try:
        records = _read(_open(), query, everything)
    except RetryError as error:
        raise _failed(error) from error
    if as_json:
        for record in records:
            sys.stdout.buffer.write(to_json(record) + b"\n")
        sys.stdout.buffer.flush()
        return
    columns = "time", "camera", "what", "details", "revision", "id"
    printed = table(*(columns if query.table == "events" else columns[:-1]), numbers=("revision",))
    for record in records:
        what, details = _summary(record)
        told = [rfc3339(captured_ns(record)), record.camera, what, details, str(getattr(record, "revision", 0))]
        printed.add_row(*told, *([record.id] if isinstance(record, Event) else []))
    Console().print(printed)


def _read(store: Store, query: Query, everything: bool) -> list[Record]:
    """The latest so many, whatever lies hidden between them."""
    wanted = query.limit
    while True:
        found = store.read(query)
        shown = found if everything else [record for record in found if not retracted(record)]
        if wanted is None or query.limit is None or len(shown) >= wanted or len(found) < query.limit:
            return shown if wanted is None else shown[-wanted:]
        query = msgspec.structs.replace(query, limit=2 * query.limit)


def _summary(record: Record) -> tuple[str, str]:
    match record:
        case Detections():
            return "detections", ", ".join(f"{box.label} {box.score:.2f}" for box in record.boxes)
        case Event():
            details = " ".join(_detail(name, value) for name, value in record.details.items())
            return record.kind, f"{record.rule} {record.label or ''} {details}".strip()
        case Flow():
            speed = "" if record.mean_speed is None else f" {record.mean_speed:.1f} m/s"
            return "flow", f"{record.line} {record.direction} {record.label}: {record.count}{speed}"
        case _:
            counts = {name: value for name, value in msgspec.to_builtins(record).items() if isinstance(value, int)}
            return str(msgspec.to_builtins(record)["stage"]), " ".join(
                f"{name}={value}" for name, value in counts.items() if not name.endswith(("_ns", "_offset"))
            )


def _detail(name: str, value: str | float | int) -> str:
    """Of a time in nanoseconds the time of day, to the millisecond."""
    if name.endswith("_ns") and isinstance(value, int):
        return f"{name.removesuffix('_ns')}={rfc3339(value)[11:23]}"
    return f"{name}={value}"


def _failed(error: RetryError) -> typer.Exit:
    typer.echo(f"the store does not answer: {error}", err=True)
    return typer.Exit(1)


@app.command()
def events(
    camera: Camera = None,
    start: From = None,
    end: To = None,
    limit: Limit = 100,
    everything: Retracted = False,
    as_json: Json = False,
) -> None:
    """What happened."""
    _show(_asked("events", camera, start, end, limit), as_json, everything)


@app.command()
def detections(
    camera: Camera = None, start: From = None, end: To = None, limit: Limit = 100, as_json: Json = False
) -> None:
    """What was seen, frame by frame."""
    _show(_asked("detections", camera, start, end, limit), as_json)


@app.command()
def flow(
    camera: Camera = None,
    start: From = None,
    end: To = None,
    limit: Limit = 100,
    everything: Retracted = False,
    as_json: Json = False,
) -> None:
    """What crossed the lines, by the minute."""
    _show(_asked("flow", camera, start, end, limit), as_json, everything)


@app.command()
def ledger(
    camera: Camera = None, start: From = None, end: To = None, limit: Limit = 100, as_json: Json = False
) -> None:
    """What became of every group of pictures."""
    _show(_asked("ledger", camera, start, end, limit), as_json)


@app.command()
def count(what: What, camera: Camera = None, start: From = None, end: To = None) -> None:
    """How many rows the store holds."""
    try:
        typer.echo(_open().count(_asked(what.value, camera, start, end, None)))
    except RetryError as error:
        raise _failed(error) from error


@app.command()
def sql(statement: Annotated[str, typer.Argument(help="On the views detections, events, flow, ledger.")]) -> None:
    """Ask the embedded store in SQL; the answer is CSV. `COPY (FROM events) TO 'file.parquet'` exports."""
    settings = reached()
    if settings.store != "duckdb":
        raise typer.BadParameter("SQL needs the embedded store: REWATCH_STORE=duckdb")
    with connect() as connection:
        create_views(connection, settings.store_dir)
        try:
            result = connection.execute(statement)
        except duckdb.Error as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from error
        writer = csv.writer(sys.stdout)
        writer.writerow([column[0] for column in result.description or ()])
        writer.writerows(result.fetchall())

"""`rewatch dataset`: check and split labelled pictures; `cli/manifest.py` finds them in the log."""

from pathlib import Path
from typing import Annotated, NoReturn

import msgspec
import typer
from rich.console import Console
from rich.markup import escape

from cli import manifest
from cli.table import table
from training.datasets.dataset import Dataset, DatasetError, Problem
from training.datasets.leaks import Leak, leaks
from training.datasets.picture_file import PictureError
from training.datasets.reading import READERS, read_dataset
from training.datasets.split import PARTS, Split, SplitError, read_split, split

app = typer.Typer(help="Labelled pictures: check, split, find in the log.", no_args_is_help=True)
app.command("manifest")(manifest.manifest)
app.command("fetch")(manifest.fetch)
_err = Console(stderr=True)

Folder = Annotated[Path, typer.Argument(help="Folder with pictures and their labels.")]
Format = Annotated[str, typer.Option("--format", help=f"One of {', '.join(READERS)}.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")]
Seed = Annotated[int, typer.Option(help="Which sources go where.")]


class CheckReport(msgspec.Struct, frozen=True):
    """What the check found. `parts`: pictures in each part of the split; null where there can be none, for the reason
    in `unsplit`."""

    folder: str
    format: str
    ok: bool
    pictures: int = 0
    sources: int = 0
    boxes: dict[str, int] = {}
    problems: tuple[Problem, ...] = ()
    parts: dict[str, int] | None = None
    unsplit: str = ""
    leaks: tuple[Leak, ...] = ()


@app.command()
def check(
    folder: Folder,
    format_name: Format,
    given: Annotated[Path | None, typer.Option("--split", help="Check this split instead of our own.")] = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Read everything, split it, look for leaks. Exits with 1 if something is wrong."""
    _known(format_name)
    try:
        dataset = read_dataset(folder, format_name)
        report = _checked(dataset, given, seed)
    except DatasetError as error:
        report = CheckReport(str(folder), format_name, False, problems=error.problems)
    except (SplitError, PictureError, OSError) as error:
        _fail(error)
    if as_json:
        print(msgspec.json.encode(report).decode())
    else:
        _show(report)
    raise typer.Exit(0 if report.ok else 1)


@app.command("split")
def split_dataset(
    folder: Folder,
    format_name: Format,
    out: Annotated[Path, typer.Option("--out", "-o", help="JSON file: the pictures of train, validation and test.")],
    seed: Seed = 0,
) -> None:
    """Part 7:2:1 by source and time; refused if the parts leak."""
    _known(format_name)
    try:
        dataset = read_dataset(folder, format_name)
        made = split(dataset, seed)
        found = leaks(dataset, made)
        if found:
            _fail(f"{found[0].first} and {found[0].second}: {found[0].what}; {len(found)} such pairs")
        out.write_bytes(msgspec.json.format(msgspec.json.encode(made), indent=1) + b"\n")
    except (DatasetError, SplitError, PictureError, OSError) as error:
        _fail(error)
    Console().print(f"{out}: {_parts(made)}", highlight=False, soft_wrap=True)


def _checked(dataset: Dataset, given: Path | None, seed: int) -> CheckReport:
    found: tuple[Leak, ...] = ()
    parts: dict[str, int] | None = None
    why = ""
    if given is not None:
        made: Split | None = read_split(given.read_bytes(), dataset)
    else:
        try:
            made = split(dataset, seed)
        except SplitError as error:
            made, why = None, str(error)
    if made is not None:
        found = leaks(dataset, made)
        parts = {part: len(made.part(part)) for part in PARTS}
    return CheckReport(
        folder=str(dataset.folder),
        format=dataset.format,
        ok=not found,
        pictures=len(dataset.pictures),
        sources=len({picture.source for picture in dataset.pictures}),
        boxes=dataset.boxes_by_class(),
        parts=parts,
        unsplit=why,
        leaks=found,
    )


def _show(report: CheckReport) -> None:
    if report.problems:
        problems = table("file", "line", "field", "problem", numbers=("line",))
        for problem in report.problems:
            problems.add_row(
                *(escape(text) for text in (problem.file, str(problem.line or ""), problem.field, problem.what))
            )
        Console().print(problems)
        return
    classes = table("class", "boxes", numbers=("boxes",))
    for name, count in report.boxes.items():
        classes.add_row(escape(name), str(count))
    Console().print(classes)
    Console().print(f"{report.pictures} pictures of {report.sources} sources", highlight=False)
    shares = ", ".join(f"{count} {part}" for part, count in (report.parts or {}).items())
    Console().print(f"split: {shares or escape(report.unsplit)}", highlight=False, soft_wrap=True)
    for leak in report.leaks:
        pair = f"{leak.first} ({leak.parts[0]}) and {leak.second} ({leak.parts[1]}): {leak.what}"
        Console().print(f"[red]leak:[/red] {escape(pair)}", highlight=False, soft_wrap=True)


def _parts(made: Split) -> str:
    return ", ".join(f"{len(made.part(part))} {part}" for part in PARTS)


def _known(format_name: str) -> None:
    if format_name not in READERS:
        _fail(f"unknown format {format_name!r}: choose one of {', '.join(READERS)}")


def _fail(error: Exception | str) -> NoReturn:
    _err.print(f"[red]dataset:[/red] {escape(str(error))}", highlight=False, soft_wrap=True)
    raise typer.Exit(2)

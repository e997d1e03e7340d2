"""`make chaos`: many disturbed runs, and what came of them in build/chaos.json."""

import random
import tempfile
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from tests.chaos.campaign import Campaign, Run, percentiles, repository
from tests.chaos.faults import STOP_SECONDS


def chaos(
    runs: Annotated[int, typer.Option(min=1)] = 20,
    seed: Annotated[int | None, typer.Option(help="Of the first run; the next has the next. Default: chance.")] = None,
    seconds: Annotated[float, typer.Option(help="Length of the scene.")] = 24.0,
    strikes: Annotated[int, typer.Option(help="Faults a run.")] = 4,
    out: Annotated[Path, typer.Option()] = Path("build/chaos.json"),
) -> None:
    """Exit code 1 when a single row differs."""
    first = seed if seed is not None else random.SystemRandom().randrange(10**6)
    console = Console()
    console.print(f"seed {first}; repeat with SEED={first}")
    done: list[Run] = []
    with tempfile.TemporaryDirectory() as folder:
        campaign = Campaign(repository(Path(folder)), seconds, strikes, STOP_SECONDS)
        console.print(f"undisturbed: {campaign.undisturbed()} rows")
        for number in range(runs):
            run = campaign.disturbed(first + number, lambda line: console.print(f"  {line}"))
            done.append(run)
            verdict = f"[red]{len(run.differences)} differences" if run.differences else "[green]no difference"
            about = f"seed {run.seed}, {run.seconds:.0f} s, {run.failed_windows} failed windows"
            console.print(f"run {number + 1}/{runs}, {about}: {verdict}")
            for line in run.differences[:10]:
                console.print(f"  [red]{line}", markup=True)
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_bytes(msgspec.json.format(msgspec.json.encode(report(first, done))) + b"\n")
    recovery = report(first, done)["recovery_seconds"]
    table = Table("fault", "times", "measured", "p50 s", "p95 s", title="from a fault to the end of its silence")
    counts = Counter(struck.fault for run in done for struck in run.faults)
    for fault, count in sorted(counts.items()):
        one = recovery.get(fault, {})
        table.add_row(fault, str(count), *(str(one.get(column, "")) for column in ("n", "p50", "p95")))
    console.print(table)
    if any(run.differences for run in done):
        raise typer.Exit(1)


def report(seed: int, done: list[Run]) -> dict[str, Any]:
    measured: dict[str, list[float]] = {}
    for run in done:
        for struck in run.faults:
            if struck.recovery_seconds is not None:
                measured.setdefault(struck.fault, []).append(struck.recovery_seconds)
    return {
        "seed": seed,
        "runs": len(done),
        "faults": dict(Counter(struck.fault for run in done for struck in run.faults)),
        "rows_compared": sum(run.rows_compared for run in done),
        "differences": sum(len(run.differences) for run in done),
        "recovery_seconds": {fault: percentiles(times) for fault, times in sorted(measured.items())},
        "each": done,
    }


if __name__ == "__main__":
    typer.run(chaos)

"""`rewatch up, down, status, setup, doctor`: the servers on this machine."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from confluent_kafka import KafkaException
from rich.console import Console

from cli.presence import Present, Served, present, served, tables
from cli.table import table
from devstack import doctor as examination
from devstack.cache import cache_directory
from devstack.debian import PackageError
from devstack.setup import SetupError
from devstack.setup import setup as set_up
from devstack.stack import DEFAULT_SERVICES
from devstack.state import FILE, StackState, read_state, usage
from devstack.supervisor import StackSpec

app = typer.Typer(no_args_is_help=True, help="The servers on this machine.")
#: what `up` starts in the background; it gets the specification's path as last argument
SUPERVISOR: Sequence[str] = (sys.executable, "-m", "cli.supervisor")

Directory = Annotated[Path | None, typer.Option(help="Data, logs and state; default: run/ in the cache.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object instead of text.")]


def stack_directory(directory: Path | None) -> Path:
    """Where the stack of `rewatch up` lives."""
    return (directory or cache_directory() / "run").resolve()


def running_stack(directory: Path | None = None) -> StackState | None:
    """The stack that `rewatch up` started, once it is ready; None otherwise."""
    state = read_state(stack_directory(directory))
    return state if state is not None and state.phase == "ready" else None


def _fail(message: str) -> typer.Exit:
    typer.echo(message, err=True)
    return typer.Exit(1)


@app.command()
def setup(
    tests: Annotated[bool, typer.Option("--tests", help="Also what only the tests need.")] = False,
) -> None:
    """Install the servers into the cache, and system packages where root on Debian. May be repeated at any time."""
    try:
        set_up(cache_directory(), tests, typer.echo)
    except (PackageError, SetupError) as error:
        raise _fail(str(error)) from error


@app.command()
def doctor(as_json: Json = False) -> None:
    """Examine this machine: each line says ok, or what to do. Exit code 1 if something needed is missing."""
    findings = examination.examine(cache_directory())
    if as_json:
        typer.echo(msgspec.json.encode(findings).decode())
    else:
        for finding in findings:
            typer.echo(
                f"{'ok  ' if finding.ok else 'MEND' if finding.needed else 'note'}  {finding.what}: {finding.detail}"
            )
            if not finding.ok:
                typer.echo(f"      fix: {finding.fix}")
    if any(not finding.ok and finding.needed for finding in findings):
        raise typer.Exit(1)


@app.command()
def up(
    directory: Directory = None,
    services: Annotated[str, typer.Option(help="Comma-separated.")] = ",".join(DEFAULT_SERVICES),
    models: Annotated[str, typer.Option(help="Models that Triton loads, comma-separated.")] = "",
    model_repository: Annotated[Path | None, typer.Option(help="Default: triton_models/ of this checkout.")] = None,
    brokers: Annotated[int, typer.Option(help="Kafka brokers: 1 or 3.")] = 1,
    as_json: Json = False,
) -> None:
    """Start everything in the background and wait until it is ready. What is missing is installed first."""
    folder = stack_directory(directory)
    state = read_state(folder)
    if state is None or not state.alive:
        try:
            set_up(cache_directory(), report=lambda line: typer.echo(line, err=True))
        except (PackageError, SetupError) as error:
            raise _fail(str(error)) from error
        repository = str(model_repository.resolve()) if model_repository else ""
        names, loaded = _names(services), _names(models)
        spec = StackSpec(str(folder), str(cache_directory()), names, repository, loaded, brokers)
        try:
            spec.stack()
        except ValueError as error:
            raise _fail(str(error)) from error
        state = _launch(folder, spec)
    elif state.phase != "ready":
        state = _wait_ready(folder)
    if as_json:
        typer.echo(msgspec.json.encode(state).decode())
        return
    for name, address in msgspec.to_builtins(state.addresses).items():
        if address:
            typer.echo(f"{name:16} {address}")
    for service in state.services:
        if service.name == "gateway":
            typer.echo(f"{'page':16} {service.address}/")
    typer.echo(f"{'logs':16} {folder / 'logs'}")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _launch(folder: Path, spec: StackSpec) -> StackState:
    """Start the supervisor and wait until its stack is ready; interrupted, nothing is left."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / FILE).unlink(missing_ok=True)
    file = folder / "spec.json"
    file.write_bytes(msgspec.json.encode(spec))
    with (folder / "supervisor.log").open("ab") as log:
        process = subprocess.Popen(
            [*SUPERVISOR, str(file)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        # its state file appears within a moment; not before Python has started, though
        while process.poll() is None and read_state(folder) is None:
            time.sleep(0.05)
        return _wait_ready(folder)
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        (folder / FILE).unlink(missing_ok=True)
        raise


def _wait_ready(folder: Path) -> StackState:
    while True:
        state = read_state(folder)
        if state is None:
            raise _fail(f"the supervisor ended; see {folder / 'supervisor.log'}")
        if state.phase == "failed":
            raise _fail(state.error)
        if state.phase == "ready":
            return state
        time.sleep(0.1)


@app.command()
def down(directory: Directory = None) -> None:
    """Stop what `rewatch up` started; harmless when nothing runs."""
    typer.echo("stopped" if _stop(stack_directory(directory)) else "nothing was running")


def _stop(folder: Path, patience: float = 90.0) -> bool:
    """False if nothing ran. Servers outlive neither a stop nor the death of their supervisor."""
    state = read_state(folder)
    if state is None or not state.alive:
        (folder / FILE).unlink(missing_ok=True)
        return False
    os.kill(state.pid, signal.SIGTERM)
    deadline = time.monotonic() + patience
    while _alive(state):
        if time.monotonic() > deadline:
            os.kill(state.pid, signal.SIGKILL)
        time.sleep(0.05)
    (folder / FILE).unlink(missing_ok=True)
    return True


def _alive(state: StackState) -> bool:
    return state.alive


@app.command()
def status(directory: Directory = None, as_json: Json = False) -> None:
    """Use every service once and show it, and who serves which camera. Exit code 1 if a service isn't ready, 3 if
    nothing runs."""
    folder = stack_directory(directory)
    state = read_state(folder)
    if state is None or not state.alive:
        typer.echo("{}" if as_json else f"nothing runs in {folder}")
        raise typer.Exit(3)
    if state.phase == "ready":
        state = _checked(folder, state)
    rows = [{**msgspec.to_builtins(service), **usage(service.pid)} for service in state.services]
    processes, cameras = _who(state.addresses.kafka_bootstrap)
    if as_json:
        who = {"processes": msgspec.to_builtins(processes), "cameras": msgspec.to_builtins(cameras)}
        typer.echo(json.dumps({**msgspec.to_builtins(state), "services": rows, **who}))
    else:
        _print_table(state, rows)
        if processes:
            Console().print(*tables(processes, cameras))
    if state.phase != "ready" or not all(service.ready for service in state.services):
        raise typer.Exit(1)


def _who(bootstrap: str) -> tuple[list[Present], list[Served]]:
    """Empty where Kafka does not answer: the table of services says so."""
    if not bootstrap:
        return [], []
    try:
        processes = present(bootstrap)
        return processes, served(bootstrap, processes)
    except (TimeoutError, KafkaException, KeyError):
        return [], []


def _checked(folder: Path, state: StackState, patience: float = 60.0) -> StackState:
    """Let the supervisor use every service now. Returns the state before if it doesn't answer in time (seconds)."""
    os.kill(state.pid, signal.SIGUSR1)
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        fresh = read_state(folder)
        if fresh is None:
            break
        if fresh.checks > state.checks:
            return fresh
        time.sleep(0.05)
    return state


def _print_table(state: StackState, rows: list[dict[str, object]]) -> None:
    columns = "service", "pid", "address", "ready", "RSS MiB", "up s", "restarts"
    numbers = "pid", "RSS MiB", "up s", "restarts"
    services = table(*columns, numbers=numbers, title=f"{state.phase}, {state.directory}")
    for row in rows:
        ready = {True: "yes", False: f"no: {row['detail'] or 'it has ended'}", None: "unknown"}[row["ready"]]  # type: ignore[index]
        services.add_row(
            str(row["name"]), str(row["pid"] or ""), str(row["address"]), ready,
            f"{float(str(row['rss_bytes'])) / 1024**2:.0f}", f"{float(str(row['uptime_s'])):.0f}", str(row["restarts"]),
        )  # fmt: skip
    Console().print(services)

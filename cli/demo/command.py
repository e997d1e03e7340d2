"""`rewatch demo`: two simulated cameras over real RTSP through every real part, held against the truth."""

import time
from pathlib import Path
from typing import Annotated, Any, Final

import httpx
import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from cli.collect import read_all
from cli.demo.clips import VIEWS, Clip, clips
from cli.demo.listener import Listener
from cli.demo.report import frames_by_camera, latency, percentiles, scores, unreconciled
from cli.system import INFLUX_DATABASE, System
from cli.table import table
from devstack.rtsp import Mount
from devstack.service import ServiceError
from ingest.camera_topic import write_cameras
from processors.influx import InfluxStore
from processors.store import TABLES, Query
from replay.scoring import Score
from schemas.analysis import CameraSpec, Source
from schemas.topics import DETECTIONS, EVENTS, FRAMES, LEDGER
from simulator.spec import spec

MODEL: Final = "junction-yolo"
SERVERS: Final = ("kafka", "triton", "redis", "influxdb", "prometheus", "rtsp")
ROLES: Final = ("ingest", "worker", "recorder", "gateway")
SETTLE_SECONDS: Final = 90.0
"""without any news: once the cameras are gone, the last frames are not waited for longer"""

_console = Console(stderr=True)


def demo(
    duration: Annotated[float, typer.Option(help="Seconds of video, from the first frame on.", min=5)] = 60,
    size: Annotated[str, typer.Option(help="WIDTHxHEIGHT of the cameras.")] = "1280x720",
    fps: Annotated[float, typer.Option(help="Frames per second of each camera.", min=1, max=60)] = 15,
    out: Annotated[Path, typer.Option(help="Where the report goes.")] = Path("build/demo.json"),
    model: Annotated[str, typer.Option(help="The detector.")] = MODEL,
    repository: Annotated[Path | None, typer.Option(help="Where it is; default: the bundled models.")] = None,
    directory: Annotated[Path | None, typer.Option(help="Keep data and logs here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON instead of tables.")] = False,
) -> None:
    """Run the main job for a while, stop everything, and say what came of it. Exit status 1 if anything is missing."""
    width, _, height = size.partition("x")
    with _progress() as progress:
        task = progress.add_task("rendering", total=len(VIEWS))
        rendered = clips(VIEWS, duration + 10, (int(width), int(height)), fps, lambda _: progress.advance(task))
    mounts = {f"/{clip.view.camera}": Mount(clip.path) for clip in rendered}
    try:
        with _console.status("starting Kafka, Triton, Redis, InfluxDB, Prometheus, RTSP and our own processes"):
            system = System(directory, SERVERS, ROLES, (model,), repository, mounts)
            system.__enter__()
        try:
            report = _run(system, rendered, duration, model)
        finally:
            with _console.status("stopping"):
                system.__exit__()
    except ServiceError as error:
        _console.print(f"[red]{escape(str(error))}")
        raise typer.Exit(1) from error
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    if as_json:
        typer.echo(msgspec.json.encode(report).decode())
    else:
        _tables(report, out)
    if report["failures"]:
        for failure in report["failures"]:
            _console.print(f"[red]missing: {escape(failure)}")
        raise typer.Exit(1)


def _run(system: System, rendered: list[Clip], duration: float, model: str) -> dict[str, Any]:
    bootstrap = system.addresses.kafka_bootstrap
    _console.print(f"the page: [bold]{system.gateway_url}/[/bold]   prometheus: {system.addresses.prometheus_url}")
    page_failures = 0
    with Listener(system.gateway_url) as listener:
        write_cameras(
            bootstrap,
            [
                CameraSpec(
                    id=clip.view.camera,
                    source=Source(url=f"{system.addresses.rtsp_url}/{clip.view.camera}"),
                    analysis=spec(clip.header.geometry, model=model),
                    labels={"variant": clip.view.variant},
                )
                for clip in rendered
            ],
            [],
        )
        with _progress() as progress:
            task = progress.add_task("watching", total=duration)
            begun = time.monotonic()
            while (elapsed := time.monotonic() - begun) < duration:
                progress.update(task, completed=elapsed)
                page_failures += not _page_answers(system.gateway_url)
                _check(system)
                time.sleep(1)
        with _console.status("letting the last frames through"):
            write_cameras(bootstrap, [], [clip.view.camera for clip in rendered])
            await_ends(system, {clip.view.camera for clip in rendered})
            points = _influx_points(system, bootstrap)
            time.sleep(1)
        messages, arrival = listener.messages, percentiles(listener.latency_ms)
    return _report(system, rendered, points, messages, arrival, page_failures)


def _report(
    system: System,
    rendered: list[Clip],
    points: dict[str, int],
    messages: int,
    arrival: dict[str, float],
    page_failures: int,
) -> dict[str, Any]:
    records = read_all(system.addresses.kafka_bootstrap, [FRAMES.name, DETECTIONS.name, EVENTS.name, LEDGER.name])
    frames = frames_by_camera(records)
    by_kind = scores(records, rendered)
    total = sum(by_kind.values(), Score(0, 0, 0))
    events_published = sum(record.topic == EVENTS.name for record in records)
    failures = [
        *(f"camera {clip.view.camera} has no frames" for clip in rendered if clip.view.camera not in frames),
        *(
            f"camera {name}: {why}{system.stack.service('worker').last_words()}"
            for name, sums in frames.items()
            if (why := unreconciled(sums))
        ),
        *(f"camera {name}: {sums.lost} access units lost" for name, sums in frames.items() if sums.lost),
        *(f"camera {name}: nothing was inferred" for name, sums in frames.items() if not sums.inferred),
        *([] if total.matched else ["no event agrees with the simulator's truth"]),
        *([] if sum(points.values()) else ["InfluxDB holds no points"]),
        *([] if messages else ["the WebSocket client was told nothing"]),
        *([f"the page did not answer {page_failures} times"] if page_failures else []),
    ]
    if messages < events_published:
        failures.append(f"the WebSocket client was told {messages} of {events_published} events")
    return {
        "cameras": [{"id": name, "frames": msgspec.to_builtins(sums)} for name, sums in sorted(frames.items())],
        "latency_ms": {**latency(records), "to_websocket": arrival},
        "events": {
            "found": total.found,
            "truth": total.truth,
            "precision": round(total.precision, 4),
            "recall": round(total.recall, 4),
            "by_rule": [
                {
                    "camera": what[0], "kind": what[1], "rule": what[2], "direction": what[3],
                    "found": part.found, "truth": part.truth, "matched": part.matched,
                }
                for what, part in by_kind.items()
            ],
        },
        "influx_points": sum(points.values()),
        "influx_points_by_table": points,
        "websocket_messages": messages,
        "addresses": {
            "page": system.gateway_url, "kafka": system.addresses.kafka_bootstrap,
            "triton": system.addresses.triton_grpc, "influxdb": system.addresses.influx_url,
            "prometheus": system.addresses.prometheus_url, "rtsp": system.addresses.rtsp_url,
        },
        "failures": failures,
    }  # fmt: skip


def _page_answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def _check(system: System) -> None:
    """Raises devstack.ServiceError with the last words of whatever has ended by itself."""
    for service in system.stack.services.values():
        service.raise_if_ended()


def await_ends(system: System, cameras: set[str]) -> None:
    """Until the ledger says that everything of these cameras is analysed, or patience ends. Raises as `_check`."""
    known, deadline = 0, time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        _check(system)
        entries = [record.json() for record in read_all(system.addresses.kafka_bootstrap, [LEDGER.name])]
        if cameras <= {entry["camera"] for entry in entries if entry["stage"] == "end"}:
            return
        if len(entries) > known:
            known, deadline = len(entries), time.monotonic() + SETTLE_SECONDS
        time.sleep(0.5)


def _influx_points(system: System, bootstrap: str) -> dict[str, int]:
    """Counted by InfluxDB itself, once it holds all that was published or patience ends."""
    published = len(read_all(bootstrap, [DETECTIONS.name]))
    store = InfluxStore(system.addresses.influx_url, "", "rewatch", INFLUX_DATABASE)
    deadline = time.monotonic() + SETTLE_SECONDS
    try:
        while True:
            points: dict[str, int] = {table: store.count(Query(table)) for table in TABLES}
            if points["detections"] >= published or time.monotonic() > deadline:
                return points
            time.sleep(0.5)
    finally:
        store.close()


def _progress() -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=_console)


def _tables(report: dict[str, Any], out: Path) -> None:
    console = Console()
    columns = "received", "published", "decoded", "inferred", "skipped", "failed", "lost"
    frames = table("camera", *columns, numbers=columns, title="frames")
    for camera in report["cameras"]:
        frames.add_row(camera["id"], *(str(camera["frames"][column]) for column in columns))
    console.print(frames)
    shares = "p50", "p95", "p99"
    times = table("stage", *shares, numbers=shares, title="milliseconds from capture")
    measured = report["latency_ms"]
    rows = {**measured["stages"], "capture to result": measured, "capture to WebSocket": measured["to_websocket"]}
    for stage, values in rows.items():
        times.add_row(stage, *(str(values.get(column, "")) for column in shares))
    console.print(times)
    counts = "found", "truth", "matched"
    about = "camera", "kind", "rule", "direction"
    events = table(*about, *counts, numbers=counts, title="events against the simulator's truth")
    for row in report["events"]["by_rule"]:
        events.add_row(*(str(value) for value in row.values()))
    console.print(events)
    console.print(
        f"precision {report['events']['precision']:.3f}   recall {report['events']['recall']:.3f}   "
        f"InfluxDB points {report['influx_points']}   WebSocket messages {report['websocket_messages']}\n"
        f"written to {out}"
    )

"""How fast a stretch of log is looked at again, and what that does to live video beside it.

Run as `python -m benchmarks.replay`; adds `replay` to build/bench.json. `times_real_time_per_core` is seconds of video
over CPU seconds of all that works for it: this process, Triton and Kafka. The bare loop of the same minutes says what
decoding, scaling and inference alone would allow. Live video is measured without and with replays beside it on the
same cores, as the replayer carries them out.
"""

import asyncio
import json
import threading
import time
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import psutil
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.pipeline import MODEL, VIEW, bare_loop
from benchmarks.processes import usage
from cli.collect import read_all
from cli.demo.clips import Clip, clips
from cli.demo.report import latency
from cli.system import System
from devstack.rtsp import Mount
from ingest.camera_topic import write_cameras
from processors.triton import TritonDetector
from replay.again import Again, look_again
from replay.child import Surroundings
from replay.errand import Errand, run
from schemas.analysis import CameraSpec, Source
from schemas.messages import ReplayRequest
from schemas.topics import DETECTIONS, LEDGER
from simulator.spec import spec

RECORDED: Final = "bench-recorded"
LIVE: Final = "bench-live"


def main(
    seconds: Annotated[float, typer.Option(help="How long live video is measured, without and with a replay.")] = 20,
    settle: Annotated[float, typer.Option(help="Seconds of live video before that.")] = 20,
    rounds: Annotated[int, typer.Option(help="Replays that are measured.")] = 3,
    size: Annotated[str, typer.Option()] = "1920x1080",
    fps: Annotated[float, typer.Option()] = 15,
    model: Annotated[str, typer.Option()] = MODEL,
    name: Annotated[str, typer.Option(help="Of the entry in the report.")] = "replay",
    out: Annotated[Path, typer.Option()] = Path("build/bench.json"),
) -> None:
    """Measure replays."""
    width, height = (int(side) for side in size.split("x"))
    (clip,) = clips((VIEW,), 30, (width, height), fps, lambda _: None)
    with System(
        None, ("kafka", "triton", "redis", "rtsp"), ("ingest", "worker"), (model,), mounts={"/bench": Mount(clip.path)}
    ) as system:
        span = _record(system, clip, model)
        wall, cpu, loop = 0.0, 0.0, []
        frames, video = 0, 0.0
        for _ in range(rounds):
            again, took, used = _look(system, span)
            wall, cpu, frames = wall + took, cpu + used, frames + again.frames
            video += again.frames / fps
            loop.append(bare_loop(clip.path, model=model))
        alone, beside = _live(system, clip, model, span, settle, seconds)
    bare = sum(loop) / len(loop)
    report: dict[str, Any] = {
        "model": model,
        "size": size,
        "fps": fps,
        "frames": frames,
        "times_real_time": round(video / wall, 2),
        "times_real_time_per_core": round(video / cpu, 2),
        "times_real_time_per_core_bare_loop": round(1 / (bare * fps), 2),
        "cpu_ms_per_frame": round(cpu / frames * 1e3, 2),
        "live_latency_ms": {"alone": alone, "beside_a_replay": beside},
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    kept = json.loads(out.read_text()) if out.exists() else {}
    out.write_bytes(msgspec.json.format(msgspec.json.encode({**kept, name: report})) + b"\n")
    table = Table(title=f"replay of {size} at {fps:g} fps, {model}")
    for name in ("times_real_time", "times_real_time_per_core", "times_real_time_per_core_bare_loop"):
        table.add_row(name.replace("_", " "), str(report[name]))
    table.add_row("live p95 alone, ms", str(alone.get("p95")))
    table.add_row("live p95 beside a replay, ms", str(beside.get("p95")))
    Console().print(table)


def _record(system: System, clip: Clip, model: str) -> tuple[int, int]:
    """The clip as a camera's analysed past. Returns its first and last capture time."""
    bootstrap = system.addresses.kafka_bootstrap
    source = Source(url=str(clip.path), pace="max")
    write_cameras(bootstrap, [CameraSpec(RECORDED, source, spec(clip.header.geometry, model=model))], [])
    while not any(r.json()["stage"] == "end" for r in read_all(bootstrap, [LEDGER.name])):
        time.sleep(1)
    times = [r.json()["captured_ns"] for r in read_all(bootstrap, [DETECTIONS.name])]
    return min(times), max(times) + 1


def _look(system: System, span: tuple[int, int]) -> tuple[Again, float, float]:
    """What came of it, the wall-clock and the CPU seconds."""
    me, before, began = psutil.Process(), usage(system.stack), time.monotonic()
    mine = sum(me.cpu_times()[:2])

    async def look() -> Again:
        detector = TritonDetector(system.addresses.triton_grpc, True)
        try:
            return await look_again(system.addresses.kafka_bootstrap, detector, RECORDED, *span)
        finally:
            await detector.stop()

    again = asyncio.run(look())
    after = usage(system.stack)
    theirs = sum(after[name].cpu_seconds - before[name].cpu_seconds for name in ("triton", "kafka"))
    return again, time.monotonic() - began, sum(me.cpu_times()[:2]) - mine + theirs


def _live(
    system: System, clip: Clip, model: str, span: tuple[int, int], settle: float, seconds: float
) -> tuple[dict[str, Any], dict[str, Any]]:
    bootstrap = system.addresses.kafka_bootstrap
    source = Source(url=f"{system.addresses.rtsp_url}/bench")
    write_cameras(bootstrap, [CameraSpec(LIVE, source, spec(clip.header.geometry, model=model))], [])
    time.sleep(settle)
    begin_ms = time.time() * 1000
    time.sleep(seconds)
    middle_ms = time.time() * 1000
    over = threading.Event()
    finished: list[str] = []
    around = Surroundings(bootstrap, system.addresses.triton_grpc)
    wanted = ReplayRequest("bench", RECORDED, *span)

    async def ask() -> None:
        async for state in run(Errand(around, wanted)):
            if state.state != "running":
                finished.append(state.reason or state.state)

    def replay() -> None:
        while not over.is_set():
            asyncio.run(ask())

    beside = threading.Thread(target=replay)
    beside.start()
    time.sleep(seconds)
    end_ms = time.time() * 1000
    over.set()
    beside.join()
    assert finished, "no replay ended"
    assert set(finished) == {"done"}, finished
    time.sleep(2)
    records = [r for r in read_all(bootstrap, [DETECTIONS.name]) if r.key == LIVE.encode()]
    return (
        latency([r for r in records if begin_ms <= r.timestamp_ms < middle_ms]),
        latency([r for r in records if middle_ms <= r.timestamp_ms < end_ms]),
    )


if __name__ == "__main__":
    typer.run(main)

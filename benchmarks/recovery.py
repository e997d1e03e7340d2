"""How long the system is silent after each fault, one at a time: `python -m benchmarks.recovery --times 3`.

Four live cameras, two workers, three brokers. The next fault comes when all cameras have had results for a while again.
Adds `recovery_seconds` to build/bench.json.
"""

import json
import random
import tempfile
import time
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.pipeline import MODEL
from cli.demo.clips import View, clips
from cli.system import Processes
from devstack.rtsp import Mount
from devstack.stack import Stack
from ingest.camera_topic import write_cameras
from schemas.analysis import CameraSpec, Source
from simulator.spec import spec
from tests.chaos.campaign import ROLES, SERVERS, percentiles, repository
from tests.chaos.faults import FAULTS, Arena
from tests.chaos.scene import FPS, LIVE, RECORDED, SIZE
from tests.chaos.witness import SILENCE_SECONDS, Witness

CAMERAS: Final = (*RECORDED, LIVE)
MEASURED: Final = tuple(name for name in FAULTS if name != "worker: join and leave")
_CALM_SECONDS: Final = 4.0
_STOP_SECONDS: Final = 12.0
"""longer than the group waits for a silent worker"""
_CLIP_SECONDS: Final = 20
_SAMPLE_FPS: Final = 5.0
"""two cores shall not be the reason"""


def recovery(
    times: Annotated[int, typer.Option(min=1, help="How often each fault comes.")] = 3,
    seed: Annotated[int | None, typer.Option(help="Default: chance.")] = None,
    faults: Annotated[list[str] | None, typer.Option("--fault", help="Only this one. Repeatable.")] = None,
    out: Annotated[Path, typer.Option()] = Path("build/bench.json"),
) -> None:
    """Measure silences."""
    chosen = seed if seed is not None else random.SystemRandom().randrange(10**6)
    console = Console()
    console.print(f"seed {chosen}")
    dice = random.Random(chosen)
    measured = faults or MEASURED
    order = [name for _ in range(times) for name in dice.sample(measured, len(measured))]
    (street,) = clips((View(LIVE, 50, "day"),), _CLIP_SECONDS, SIZE, float(FPS), lambda _: None)
    found: dict[str, list[float]] = {name: [] for name in measured}
    with tempfile.TemporaryDirectory() as folder:
        mounts = {f"/{camera}": Mount(street.path) for camera in CAMERAS}
        with Stack(
            services=SERVERS,
            model_repository=repository(Path(folder), MODEL),
            models=(MODEL,),
            brokers=3,
            mounts=mounts,
        ) as stack:
            processes = Processes(stack, ROLES, {"REWATCH_REPLICATION_FACTOR": "3"})
            processes.start()
            witness = Witness(stack.addresses.kafka_bootstrap)
            witness.start()
            analysis = msgspec.structs.replace(spec(street.header.geometry, model=MODEL), sample_fps=_SAMPLE_FPS)
            sources = [Source(f"{stack.addresses.rtsp_url}/{camera}") for camera in CAMERAS]
            specs = [CameraSpec(camera, source, analysis) for camera, source in zip(CAMERAS, sources, strict=True)]
            write_cameras(stack.addresses.kafka_bootstrap, specs, [])
            arena = Arena(stack, processes, witness, dice, _STOP_SECONDS)
            for name in order:
                _calm(witness)
                seconds = _struck(name, arena, witness)
                console.print(f"{name}: {'?' if seconds is None else f'{seconds:.1f} s'}")
                if seconds is not None:
                    found[name].append(seconds)
            witness.stop()
    report = {name: percentiles(seconds) for name, seconds in found.items() if seconds}
    out.parent.mkdir(parents=True, exist_ok=True)
    kept = json.loads(out.read_text()) if out.exists() else {}
    out.write_bytes(msgspec.json.format(msgspec.json.encode({**kept, "recovery_seconds": report})) + b"\n")
    table = Table("fault", "measured", "p50 s", "p95 s", title="from a fault to the end of its silence")
    for name, one in report.items():
        table.add_row(name, str(one["n"]), str(one["p50"]), str(one["p95"]))
    console.print(table)


def _struck(name: str, arena: Arena, witness: Witness) -> float | None:
    struck: list[tuple[float, tuple[str, ...]]] = []

    def remember(cameras: Sequence[str]) -> None:
        struck.append((time.monotonic(), tuple(cameras)))

    arena.struck = remember
    FAULTS[name](arena)
    ((at, cameras),) = struck
    # what was on its way still comes out
    time.sleep(max(0.0, at + _CALM_SECONDS - time.monotonic()))
    _calm(witness)
    return witness.recovered(cameras, at, inf) if cameras else None


def _calm(witness: Witness, patience: float = 120.0) -> None:
    """Until every camera has had results without a pause for some seconds."""
    deadline = time.monotonic() + patience
    while not all(witness.flows(camera, _CALM_SECONDS, SILENCE_SECONDS) for camera in CAMERAS):
        assert time.monotonic() < deadline, "a camera stays silent"
        time.sleep(0.5)


if __name__ == "__main__":
    typer.run(recovery)

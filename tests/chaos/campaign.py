"""One run in which nothing happens, others in which much does; what is left must be the same."""

import random
import shutil
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from math import inf
from pathlib import Path
from typing import Final

from msgspec import Struct, field

from cli.system import Processes
from cli.windows import states
from devstack.stack import Stack
from ingest.camera_topic import write_cameras
from schemas.analysis import CameraSpec, Source
from tests.chaos.faults import FAULTS, Arena, touches
from tests.chaos.outcome import Outcome, differing, outcome, settle
from tests.chaos.scene import LIVE, MODEL, RECORDED, Playing, build
from tests.chaos.witness import Witness

SERVERS: Final = ("kafka", "triton", "redis", "influxdb", "rtsp")
ROLES: Final = ("worker", "worker-2", "ingest", "recorder", "replayer")


class Struck(Struct):
    fault: str
    at_seconds: float
    cameras: tuple[str, ...]
    recovery_seconds: float | None = None
    """to the end of the silence that it made, 0.0 for none; None where the scene had ended, or another fault came
    before that"""


class Run(Struct):
    seed: int
    faults: list[Struck] = field(default_factory=list)
    failed_windows: int = 0
    rows_compared: int = 0
    differences: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Campaign:
    """`strikes` faults a run, out of `faults`, each of which comes up before any comes again."""

    def __init__(
        self,
        repository: Path,
        seconds: float,
        strikes: int,
        stop_seconds: float,
        faults: Sequence[str] = tuple(FAULTS),
    ) -> None:
        self._repository, self._seconds, self._strikes = repository, seconds, strikes
        self._stop_seconds = stop_seconds
        self._faults = list(faults)
        self._waiting: list[str] = []
        self._scene = build(seconds, time.time_ns() - 3600 * 1_000_000_000)
        self._undisturbed: Outcome | None = None

    def undisturbed(self) -> int:
        """Returns how many rows there are."""
        with self._stack(1, ("kafka", "triton", "redis", "influxdb")) as stack:
            Processes(stack, ("worker", "recorder", "replayer")).start()
            playing = Playing(stack.addresses.kafka_bootstrap, self._scene, 0.0)
            playing.run()
            assert playing.undelivered == 0
            missing = settle(stack, RECORDED)
            assert not missing, missing
            self._undisturbed = outcome(stack, with_live=False)
        assert self._undisturbed.complaints == []
        return len(self._undisturbed.rows)

    def disturbed(self, seed: int, said: Callable[[str], None], brokers: int = 3, surely: str | None = None) -> Run:
        """`surely`: the fault that strikes first."""
        assert self._undisturbed is not None
        dice = random.Random(seed)
        run = Run(seed)
        begun = time.monotonic()
        with self._stack(brokers, SERVERS) as stack:
            processes = Processes(stack, ROLES, {"REWATCH_REPLICATION_FACTOR": str(brokers)})
            processes.start()
            bootstrap = stack.addresses.kafka_bootstrap
            witness = Witness(bootstrap)
            witness.start()
            playing = Playing(bootstrap, self._scene, 1.0)
            try:
                live = Source(f"{stack.addresses.rtsp_url}/{LIVE}")
                write_cameras(bootstrap, [CameraSpec(LIVE, live, self._scene.live_analysis)], [])
                playing.start()
                self._strike(Arena(stack, processes, witness, dice, self._stop_seconds), run, said, surely)
                playing.join()
                write_cameras(bootstrap, [], [LIVE])
                assert playing.undelivered == 0
                missing = settle(stack, (*RECORDED, LIVE))
            finally:
                witness.stop()
            self._measure(run, witness)
            run.failed_windows = len(states(bootstrap))
            found = outcome(stack, with_live=True)
        differences = differing(self._undisturbed.rows, found.rows)
        run.differences = [*([missing] if missing else []), *differences, *found.complaints]
        run.rows_compared = len(self._undisturbed.rows) + found.live_rows
        run.seconds = time.monotonic() - begun
        return run

    def _stack(self, brokers: int, servers: Sequence[str]) -> Stack:
        mounts = {f"/{LIVE}": self._scene.live} if "rtsp" in servers else {}
        return Stack(
            services=servers, model_repository=self._repository, models=(MODEL,), brokers=brokers, mounts=mounts
        )

    def _strike(self, arena: Arena, run: Run, said: Callable[[str], None], first: str | None) -> None:
        """Faults may overlap, but those that touch the same thing."""
        dice, begun = arena.dice, time.monotonic()
        locks = {touches(name): threading.Lock() for name in FAULTS}
        failures: list[BaseException] = []
        threads = []
        moments = sorted(dice.uniform(2.0, max(3.0, self._seconds - 4.0)) for _ in range(self._strikes))
        for number, moment in enumerate(moments):
            name = first if first and number == 0 else self._next(dice)
            own = Arena(arena.stack, arena.processes, arena.witness, random.Random(dice.random()), self._stop_seconds)

            def struck(cameras: Sequence[str], name: str = name) -> None:
                at = time.monotonic()
                run.faults.append(Struck(name, at, tuple(cameras)))
                said(f"{at - begun:5.1f} s  {name}")

            own.struck = struck

            def happen(arena: Arena = own, name: str = name) -> None:
                try:
                    with locks[touches(name)]:
                        FAULTS[name](arena)
                except BaseException as error:
                    failures.append(error)

            time.sleep(max(0.0, begun + moment - time.monotonic()))
            threads.append(threading.Thread(target=happen, name=name, daemon=True))
            threads[-1].start()
        for thread in threads:
            thread.join()
        if failures:
            raise ExceptionGroup(
                "the faults themselves failed", [one for one in failures if isinstance(one, Exception)]
            )

    def _next(self, dice: random.Random) -> str:
        if not self._waiting:
            self._waiting = list(self._faults)
            dice.shuffle(self._waiting)
        return self._waiting.pop()

    def _measure(self, run: Run, witness: Witness) -> None:
        """Only what was recovering from one thing alone says how long that takes."""
        took = []
        for one in run.faults:
            until = min((other.at_seconds for other in run.faults if other.at_seconds > one.at_seconds), default=inf)
            took.append(witness.recovered(one.cameras, one.at_seconds, until))
        stretches = [
            (one.at_seconds, one.at_seconds + (took or 0.0)) for one, took in zip(run.faults, took, strict=True)
        ]
        for number, one in enumerate(run.faults):
            begin, end = stretches[number]
            alone = all(
                end < other_begin or other_end < begin
                for place, (other_begin, other_end) in enumerate(stretches)
                if place != number
            )
            one.recovery_seconds = took[number] if alone else None
        begun = min((one.at_seconds for one in run.faults), default=0.0)
        for one in run.faults:
            one.at_seconds = round(one.at_seconds - begun, 2)


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    if len(seconds) == 1:
        middle = high = seconds[0]
    else:
        cuts = statistics.quantiles(seconds, n=100, method="inclusive")
        middle, high = cuts[49], cuts[94]
    return {"n": len(seconds), "p50": round(middle, 2), "p95": round(high, 2)}


def repository(folder: Path, model: str = MODEL) -> Path:
    """A model repository with one bundled detector alone."""
    root = Path(__file__).resolve().parents[2]
    shutil.copytree(root / "triton_models" / model, folder / model)
    return folder

"""What may happen to a running system. Each fault strikes, lets some time pass and mends what does not mend itself."""

import random
import signal
import time
from collections.abc import Callable, Sequence
from typing import Final

import psutil
from confluent_kafka.admin import AdminClient

from cli.system import Processes
from devstack.service import Service
from devstack.stack import Stack
from schemas.partition import partition_of
from schemas.topics import FRAMES, PARTITIONS
from tests.chaos.scene import LIVE, RECORDED
from tests.chaos.witness import Witness

WORKERS: Final = ("worker", "worker-2")
STOP_SECONDS: Final = 30.0


class Arena:
    """The running system, as far as faults may touch it."""

    def __init__(
        self, stack: Stack, processes: Processes, witness: Witness, dice: random.Random, stop_seconds: float
    ) -> None:
        self.stack, self.processes, self.witness, self.dice = stack, processes, witness, dice
        self.stop_seconds = stop_seconds
        self.struck: Callable[[Sequence[str]], None] = lambda cameras: None
        """called at the moment of a fault with the cameras that it concerns"""

    def service(self, name: str) -> Service:
        return self.stack.service(name)

    def pause(self, low: float, high: float) -> None:
        time.sleep(self.dice.uniform(low, high))

    def worker(self) -> Service:
        """One that has work, if any has."""
        running = [self.service(name) for name in WORKERS if self.service(name).running]
        busy = [one for one in running if one.pid is not None and self.witness.serves(one.pid)]
        return self.dice.choice(busy or running)

    def cameras_of(self, worker: Service) -> tuple[str, ...]:
        return self.witness.serves(worker.pid or -1)


def _back(service: Service) -> None:
    service.stop()
    service.start()
    service.wait_ready()


def worker_killed(arena: Arena) -> None:
    victim = arena.worker()
    cameras = arena.cameras_of(victim)
    victim.process.kill()
    arena.struck(cameras)
    arena.pause(0.0, 2.0)
    _back(victim)


def worker_told_to_end(arena: Arena) -> None:
    victim = arena.worker()
    cameras = arena.cameras_of(victim)
    process = victim.process
    process.send_signal(signal.SIGTERM)
    arena.struck(cameras)
    process.wait(30)
    arena.pause(0.0, 1.0)
    _back(victim)


def worker_joins_and_leaves(arena: Arena) -> None:
    """Two rebalances at moments of the group's own: there is no one from which a recovery could be counted."""
    arena.struck(())
    if "worker-3" in arena.stack.services:
        _back(arena.service("worker-3"))
    else:
        arena.processes.add("worker-3")
        arena.service("worker-3").wait_ready()
    arena.pause(1.0, 4.0)
    arena.service("worker-3").stop()


def worker_stands_still(arena: Arena) -> None:
    """Long enough to lose its cameras to others; then it goes on as if nothing had been."""
    victim = arena.worker()
    cameras = arena.cameras_of(victim)
    victim.pause()
    arena.struck(cameras)
    time.sleep(arena.stop_seconds)
    if victim.running:
        victim.resume()
        arena.pause(3.0, 4.0)
    if not victim.running:  # it has noticed and ended itself: that is a supervisor's case
        _back(victim)


def stub_killed(arena: Arena) -> None:
    for pid in arena.stack.triton.stub_pids():
        _kill(pid)
    arena.struck((*RECORDED, LIVE))


def triton_killed(arena: Arena) -> None:
    triton = arena.stack.triton
    triton.process.kill()
    arena.struck((*RECORDED, LIVE))
    _back(triton)


def redis_killed(arena: Arena) -> None:
    _killed_for_a_while(arena, "redis", (*RECORDED, LIVE))


def influxdb_killed(arena: Arena) -> None:
    _killed_for_a_while(arena, "influxdb", (*RECORDED, LIVE))


def recorder_killed(arena: Arena) -> None:
    _killed_for_a_while(arena, "recorder", (*RECORDED, LIVE))


def replayer_killed(arena: Arena) -> None:
    _killed_for_a_while(arena, "replayer", (*RECORDED, LIVE))


def broker_killed(arena: Arena) -> None:
    """The leader of a camera's partition. It comes back, and the next may fall only when the copies are whole again."""
    camera = arena.dice.choice(RECORDED)
    partition = partition_of(camera.encode(), PARTITIONS)
    admin = AdminClient({"bootstrap.servers": arena.stack.addresses.kafka_bootstrap, "log_level": 0})
    leader = admin.list_topics(FRAMES.name, timeout=20).topics[FRAMES.name].partitions[partition].leader
    broker = next(one for one in arena.stack.brokers if one.node == leader)
    broker.process.kill()
    arena.struck(RECORDED)
    arena.pause(1.0, 4.0)
    _back(broker)
    deadline = time.monotonic() + 120
    while not _whole(admin, len(arena.stack.brokers)):
        assert time.monotonic() < deadline, f"{broker.name} does not catch up"
        time.sleep(0.5)


def rtsp_server_killed(arena: Arena) -> None:
    _killed_for_a_while(arena, "rtsp", (LIVE,))


def ingest_killed(arena: Arena) -> None:
    _killed_for_a_while(arena, "ingest", (LIVE,))


Fault = Callable[[Arena], None]

FAULTS: Final[dict[str, Fault]] = {
    "worker: kill -9": worker_killed,
    "worker: SIGTERM": worker_told_to_end,
    "worker: join and leave": worker_joins_and_leaves,
    "worker: SIGSTOP": worker_stands_still,
    "Triton's stub: kill -9": stub_killed,
    "Triton: kill -9": triton_killed,
    "broker: kill -9": broker_killed,
    "Redis: kill -9": redis_killed,
    "InfluxDB: kill -9": influxdb_killed,
    "recorder: kill -9": recorder_killed,
    "replayer: kill -9": replayer_killed,
    "RTSP server: kill -9": rtsp_server_killed,
    "ingest: kill -9": ingest_killed,
}


def touches(fault: str) -> str:
    """Faults that touch the same thing strike one after the other."""
    return fault.partition(":")[0].partition("'")[0]


def _killed_for_a_while(arena: Arena, name: str, cameras: Sequence[str]) -> None:
    victim = arena.service(name)
    victim.process.kill()
    arena.struck(cameras)
    arena.pause(0.5, 3.0)
    _back(victim)


def _kill(pid: int) -> None:
    psutil.Process(pid).kill()


def _whole(admin: AdminClient, copies: int) -> bool:
    topics = admin.list_topics(timeout=20).topics.values()
    return all(len(part.isrs) == copies for topic in topics for part in topic.partitions.values())

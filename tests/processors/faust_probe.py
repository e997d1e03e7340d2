"""A process with the product's Faust app and camera agent, and a worker that misbehaves as it is told.

`python -m tests.processors.faust_probe TOPIC GROUP MODE`; prints the offset of each record that the agent takes. Modes:
`plain`; `hold:N`, where the record N is never finished; `raise:N`; `slow`, which takes nothing for the first seconds;
`threads`, where a seek outside the thread that fetches is an error.
"""

import asyncio
import os
import sys
import threading
from collections.abc import Iterable
from contextlib import AsyncExitStack
from typing import Any, cast

import aiokafka

from processors.agents.camera import camera_agent
from processors.app import ProgressApp, build_app
from processors.commit_points import Partition
from processors.run import run
from processors.worker import CameraWorker
from runtime.config import Settings
from schemas.topics import Topic


class Probe:
    """The worker's place: takes records, says what is safe to commit."""

    def __init__(self, mode: str) -> None:
        self.mode, _, at = mode.partition(":")
        self.at = int(at or -1)
        self._next: dict[Partition, int] = {}

    def partitions(self) -> Iterable[Partition]:
        return list(self._next)

    def safe(self, partition: Partition) -> int | None:
        after = self._next.get(partition)
        if after is not None and self.mode == "hold" and after > self.at:
            return self.at
        return after

    async def hand_over(self) -> None:
        pass

    async def assigned(self, committed: dict[Partition, int | None]) -> dict[Partition, int]:
        return {partition: offset for partition, offset in committed.items() if offset is not None}

    async def take(self, partition: Partition, offset: int, *_: Any) -> None:
        if self.mode == "slow" and not self._next:
            await asyncio.sleep(4)
        if self.mode == "raise" and offset == self.at:
            raise RuntimeError("as it was told")
        print(offset, flush=True)
        self._next[partition] = offset + 1


def _watch_seeks() -> None:
    seek = aiokafka.AIOKafkaConsumer.seek

    def watched(consumer: Any, partition: Any, offset: int) -> None:
        assert threading.current_thread() is not threading.main_thread(), "a seek while another thread fetches"
        seek(consumer, partition, offset)

    aiokafka.AIOKafkaConsumer.seek = watched


def main() -> None:
    name, group, mode = sys.argv[1:4]
    probe = Probe(mode)
    if probe.mode == "threads":
        _watch_seeks()

    async def resources(app: ProgressApp, exit_stack: AsyncExitStack) -> None:
        del app, exit_stack

    app = build_app(group, Settings(kafka=os.environ["REWATCH_KAFKA"]), probe, resources)
    camera_agent(app, Topic(name, 1, "delete", None, 2**20, "anything"), cast(CameraWorker, probe))
    run(app)


if __name__ == "__main__":
    main()

"""Stands for ingest and a worker where a file is analysed: takes batch cameras and writes what they would write."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec

from gateway.log import Log
from schemas.analysis import CameraSpec
from schemas.messages import AnalysisLedger, Box, EndLedger, Flow, IngestLedger
from schemas.topics import CAMERAS
from tests.gateway import clip
from tests.gateway.writer import Writer

FRAMES, GOP = 40, 10


def analysed(writer: Writer, camera: str, frames: int = FRAMES) -> None:
    """A car that is a van for a while, a person, two crossings; one GOP delivered twice; one frame in GOP 3 failed."""
    captured = [index * 10**8 for index in range(frames)]
    for gop in range(frames // GOP):
        failed = 1 if gop == 3 else 0
        writer.result(IngestLedger(camera, "s", gop, captured[gop * GOP], GOP, GOP, 0))
        for _ in range(2 if gop == 1 else 1):
            for index in range(gop * GOP, gop * GOP + GOP - failed):
                boxes = (
                    Box("car" if index >= 12 else "van", 0.9, 1, 2, 3, 4, track="a"),
                    Box("person", 0.8, 1, 2, 3, 4, track=f"p{gop // 2}"),
                    Box("car", 0.3, 5, 5, 6, 6),
                )
                found = msgspec.structs.replace(clip.detections(camera, index, captured[index]), boxes=boxes)
                # a file's capture times lie decades back: so does the total
                writer.result(found, {"transport": 1.7e12, "queue": 500.0, "total": 1.7e12 + 520 + index})
            done = GOP - failed
            writer.result(
                AnalysisLedger(
                    camera, "s", gop, captured[gop * GOP], GOP, done, done, 0, failed, "frames-batch", 0, 0,
                    reason="corrupt" if failed else "",
                )
            )  # fmt: skip
    for number in (1, 2, 2):
        writer.result(clip.event(camera, number, captured[5 * number]))
    writer.result(Flow(camera, "middle", 0, "car", "forward", 2, None, clip.provenance()))
    writer.flush()  # a worker tells the end when all that came before it is acknowledged
    writer.result(EndLedger(camera, "s", frames))
    writer.flush()


def unreadable(writer: Writer, camera: str, why: str = "Invalid data found when processing input") -> None:
    writer.result(EndLedger(camera, "none", 0, why))
    writer.flush()


class Edge:
    """`handle(writer, camera)` is called for each new batch camera, a little later, as in life."""

    def __init__(self, log: Log, writer: Writer, handle: Callable[[Writer, str], None] | None) -> None:
        self._log, self._writer, self._handle = log, writer, handle
        self.specs: list[CameraSpec] = []
        self.contents: list[bytes] = []
        self.withdrawn: list[str] = []

    async def run(self) -> None:
        start = await self._log.ends(CAMERAS.name)
        async with self._log.reader(CAMERAS.name, start) as reader:
            async for batch in reader:
                for record in batch:
                    await asyncio.sleep(0.01)
                    if record.value is None:
                        self.withdrawn.append(record.key.decode())
                        continue
                    spec = msgspec.json.decode(record.value, type=CameraSpec)
                    self.specs.append(spec)
                    self.contents.append(await asyncio.to_thread(Path(spec.source.url).read_bytes))
                    if self._handle is not None:
                        self._handle(self._writer, spec.id)


@contextlib.asynccontextmanager
async def edge(
    log: Log, writer: Writer, handle: Callable[[Writer, str], None] | None = analysed
) -> AsyncIterator[Edge]:
    made = Edge(log, writer, handle)
    task = asyncio.create_task(made.run())
    await asyncio.sleep(0)
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

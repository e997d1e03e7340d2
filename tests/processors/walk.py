"""Drives a CameraSession through records without any server."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from processors.ports import FakeDetector, FakePublisher, FullPace, ModelContract, Pace
from processors.session import CameraSession, Malformed, SessionPorts
from replay.named import NamedVersions
from schemas.analysis import Analysis, LineRule, Tracking
from schemas.messages import AccessUnit, Checkpoint, LogRecord
from schemas.results import Result, identity, to_json
from tests.vision.video import encode

CONTRACT = ModelContract("square", "3", 96, 64, ("square", "circle"))
ANALYSIS = Analysis(
    model="square",
    tracking=Tracking(confirm_frames=2, max_lost_seconds=0.5),
    rules=(LineRule("middle", (0.5, 0.0), (0.5, 1.0)),),
)


def find_square(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The bounding box of what is much redder than the noise around it."""
    rows = np.zeros((4, 6), np.float32)
    ys, xs = np.nonzero((image[..., 0] > 140) & (image[..., 1] < 120))
    if len(xs) > 40:
        rows[0] = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1, 0.9, 0)
    return rows


def clip(count: int = 40, keyframe_every: int = 10, analysis: Analysis = ANALYSIS, **options: str) -> list[AccessUnit]:
    """A red square that crosses the middle of the picture, as a log's access units."""
    header = msgspec.json.encode(analysis, order="deterministic")
    options = {"bf": "0", **options}
    return [
        msgspec.structs.replace(unit, analysis=header if unit.keyframe else None)
        for unit in encode("h264", count, (96, 64), keyframe_every, options)
    ]


@dataclass
class Walk:
    publisher: FakePublisher = field(default_factory=FakePublisher)
    detector: FakeDetector = field(default_factory=lambda: FakeDetector(CONTRACT, find_square))
    checkpointed: list[int] = field(default_factory=list)
    ended: bool = False
    session: CameraSession | None = None
    pace: Pace = field(default_factory=FullPace)
    named: NamedVersions = field(default_factory=NamedVersions)

    async def run(
        self,
        records: Sequence[tuple[int, LogRecord | Malformed]],
        restored: Checkpoint | None = None,
        settle: float = 0.15,
    ) -> "Walk":
        """Feeds all records and lets the session come to rest."""

        def end() -> None:
            self.ended = True

        with ThreadPoolExecutor(2) as threads:
            ports = SessionPorts(self.detector, self.publisher, threads, lambda: 0, pace=self.pace, named=self.named)
            self.session = CameraSession("cam", "frames", 0, ports, self.checkpointed.append, end, restored)
            task = asyncio.create_task(self.session.run())
            for offset, record in records:
                await self.session.put(offset, record, 0)
            before, still = -1, 0
            while not task.done() and still < (1 if self.session.drained else 10):
                still = still + 1 if before == len(self.publisher.messages) else 0
                before = len(self.publisher.messages)
                await asyncio.sleep(settle)
            if task.done():
                task.result()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return self

    def of(self, kind: type[Result]) -> list[Result]:
        return [message for message in self.publisher.messages if isinstance(message, kind)]

    def table(self) -> dict[str, bytes]:
        """What a sink that replaces by identity would hold."""
        return {
            f"{type(message).__name__} {identity(message)}": to_json(message)
            for message in self.publisher.messages
            if not isinstance(message, Checkpoint)
        }


def numbered(units: Sequence[LogRecord], start: int = 100) -> list[tuple[int, LogRecord | Malformed]]:
    """As one partition would hold them, another camera's records in between."""
    return [(start + 3 * number, unit) for number, unit in enumerate(units)]

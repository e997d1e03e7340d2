"""One partition with several cameras, and processes that work on it without any server: real records, a real decoder,
the worker itself; what was published outlives the process."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from processors.ports import FakePublisher, ModelContract
from processors.session import SessionPorts
from processors.worker import CameraWorker
from schemas.codec import WireRecord, encode
from schemas.messages import Checkpoint, LogRecord
from schemas.results import Result, identity, to_json
from tests.processors.walk import CONTRACT, find_square

PARTITION: Final = ("frames", 0)


class KilledError(Exception):
    """Stands for a signal: nothing of the process goes on."""


class SquareDetector:
    """Finds squares, whatever the model is called; dies of the model `lethal`."""

    async def contract(self, model: str) -> ModelContract:
        return msgspec.structs.replace(CONTRACT, name=model)

    async def infer(self, contract: ModelContract, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        if contract.name == "lethal":
            raise KilledError
        return find_square(image)


class Partition:
    """The log: records by offset, 0 the first. `damaged`: offsets of those that lack a header."""

    def __init__(self, records: Sequence[LogRecord], damaged: Sequence[int] = ()) -> None:
        self.records: list[WireRecord] = [encode(record) for record in records]
        self.damaged = set(damaged)
        self.published = FakePublisher()

    async def work(
        self,
        start: int = 0,
        checkpoints: dict[str, Checkpoint] | None = None,
        until: Callable[[CameraWorker], bool] = lambda worker: not worker.cameras,
        publisher: FakePublisher | None = None,
    ) -> bool:
        """A process that begins at `start`, or at the lowest checkpoint below, and ends itself when `until` is true
        after the last record. False: it was killed."""
        publisher = publisher or self.published
        died = asyncio.Event()
        kept = dict(checkpoints or {})
        worker = CameraWorker(
            PARTITION[0], lambda _: kept, lambda _: {PARTITION: (0, len(self.records))}, lambda _: died.set()
        )
        with ThreadPoolExecutor(2) as threads:
            worker.start(SessionPorts(SquareDetector(), publisher, threads, lambda: 0))
            positions = await worker.assigned({PARTITION: start})
            feeding = asyncio.create_task(self._feed(worker, positions[PARTITION]))
            dying = asyncio.create_task(died.wait())
            await asyncio.wait({feeding, dying}, return_when=asyncio.FIRST_COMPLETED)
            while not died.is_set() and not until(worker):  # noqa: ASYNC110 - the worker tells nobody that it is done
                await asyncio.sleep(0.002)
            if not died.is_set():
                await worker.hand_over()
            for task in (feeding, dying):
                task.cancel()
            await asyncio.gather(feeding, dying, return_exceptions=True)
            await worker.stop()
        return not died.is_set()

    async def _feed(self, worker: CameraWorker, start: int) -> None:
        for offset in range(start, len(self.records)):
            record = self.records[offset]
            headers = {name: value for name, value in record.headers if offset not in self.damaged or name != "pts"}
            await worker.take(PARTITION, offset, record.key, record.value, headers)


def table(messages: Sequence[Result]) -> dict[str, bytes]:
    """As a sink that replaces by identity holds it."""
    return {
        f"{type(message).__name__} {identity(message)}": to_json(message)
        for message in messages
        if not isinstance(message, Checkpoint)
    }

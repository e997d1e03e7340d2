"""One partition with several cameras, and processes that work on it without any server: real records, a real decoder,
the worker itself; what was published outlives the process."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from processors.errors import NotServedError
from processors.ports import Beside, Delivered, FakePublisher, Inference, ModelContract, Observation, SceneContract
from processors.session import SessionPorts
from processors.worker import CameraWorker
from schemas.codec import encode
from schemas.messages import AccessUnit, Checkpoint, LogRecord
from schemas.results import Result, identity, to_json
from tests.processors.walk import CONTRACT, find_square

T = TypeVar("T")

PARTITION: Final = ("frames", 0)


class _Inline(Executor):
    """Does at once what threads would do some time: the order of everything is the same in every run."""

    def submit(self, call: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        done: Future[T] = Future()
        try:
            done.set_result(call(*args, **kwargs))
        except Exception as error:
            done.set_exception(error)
        return done


class KilledError(Exception):
    """Stands for a signal: nothing of the process goes on."""


class SquareDetector:
    """Finds squares, whatever the model is called; dies of the model `lethal`."""

    async def contract(self, model: str, version: str = "") -> ModelContract:
        return msgspec.structs.replace(CONTRACT, name=model)

    async def infer(self, contract: ModelContract, images: Sequence[NDArray[np.uint8]]) -> list[Inference]:
        if contract.name == "lethal":
            raise KilledError
        return [Inference(find_square(image), contract.version) for image in images]

    async def infer_with(self, contract: ModelContract, image: NDArray[np.uint8], beside: Beside) -> Inference:
        raise NotServedError(contract.name)

    async def scene(self, model: str) -> SceneContract:
        raise NotServedError(model)

    async def observe(
        self, contract: SceneContract, image: NDArray[np.uint8], h: NDArray[np.float32], c: NDArray[np.float32]
    ) -> Observation:
        raise NotServedError(contract.name)


@dataclass(frozen=True)
class Moment:
    """What is durable of a process at one moment."""

    said: int
    """so many messages"""
    checkpoints: dict[str, Checkpoint]
    committed: int


class _Remembering:
    """A publisher that asks to be remembered after each message."""

    def __init__(self, publisher: FakePublisher, remember: Callable[[], None]) -> None:
        self._publisher, self._remember = publisher, remember

    async def publish(self, message: Result, headers: list[tuple[str, bytes]], delivered: Delivered) -> None:
        await self._publisher.publish(message, headers, delivered)
        self._remember()

    async def forget_checkpoint(self, camera: str, delivered: Delivered) -> None:
        await self._publisher.forget_checkpoint(camera, delivered)
        self._remember()


class Partition:
    """The log: records by offset, 0 the first. `damaged`: offsets of those that lack a header."""

    def __init__(self, records: Sequence[LogRecord], damaged: Collection[int] = ()) -> None:
        self.records = list(records)
        self.damaged = set(damaged)
        self.published = FakePublisher()
        self.moments: list[Moment] = []

    @property
    def cameras(self) -> set[str]:
        return {record.camera for record in self.records}

    def access_units(self, camera: str, start: int) -> list[int]:
        """Their offsets, from `start` on."""
        return [
            offset
            for offset, record in enumerate(self.records)
            if offset >= start and record.camera == camera and isinstance(record, AccessUnit)
        ]

    async def work(
        self,
        start: int = 0,
        checkpoints: dict[str, Checkpoint] | None = None,
        until: Callable[[CameraWorker], bool] = lambda worker: not worker.cameras,
    ) -> bool:
        """A process that begins at `start`, or at the lowest checkpoint below, and ends itself when `until` is true
        after the last record. False: it was killed."""
        died = asyncio.Event()
        kept = dict(checkpoints or {})
        worker = CameraWorker(
            PARTITION[0], lambda _: kept, lambda _: {PARTITION: (0, len(self.records))}, lambda _: died.set()
        )
        publisher = _Remembering(self.published, lambda: self._remember(worker))
        worker.start(SessionPorts(SquareDetector(), publisher, _Inline(), lambda: 0))
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
            record = encode(self.records[offset])
            headers = {name: value for name, value in record.headers if offset not in self.damaged or name != "pts"}
            await worker.take(PARTITION, offset, record.key, record.value, headers)

    def _remember(self, worker: CameraWorker) -> None:
        committed = worker.safe(PARTITION)
        assert committed is not None
        said = len(self.published.messages)
        self.moments.append(Moment(said, dict(self.published.checkpoints), committed))


def table(messages: Sequence[Result]) -> dict[str, bytes]:
    """As a sink that replaces by identity holds it."""
    return {
        f"{type(message).__name__} {identity(message)}": to_json(message)
        for message in messages
        if not isinstance(message, Checkpoint)
    }

"""Which version of a model has answered when, as published results name it: looking again must ask for that one."""

from bisect import bisect_right
from collections.abc import Awaitable, Iterable, Sequence
from typing import TypeVar

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from processors.errors import NotServedError
from processors.ports import Beside, Detector, Inference, ModelContract, Observation, SceneContract
from replay.log import PartitionLog
from schemas.messages import Provenance
from schemas.topics import DETECTIONS

T = TypeVar("T")

_EARLY_MS = 5_000
"""clocks of two machines differ"""


class VersionGoneError(ValueError):
    """A version of a model that results name is not served. With another one the whole past would be revised."""


class Answered(Struct, frozen=True):
    """Of Detections no more than what is needed here."""

    captured_ns: int
    provenance: Provenance
    revision: int = 0


class NamedVersions:
    """Called with a model and a frame's capture time. Where nothing was published of a frame it is the version of the
    one before it, else of the one behind it; empty where none is named at all: whichever is live."""

    def __init__(self, answered: Iterable[Answered] = ()) -> None:
        newest: dict[tuple[str, int], Answered] = {}
        for one in answered:
            key = one.provenance.model, one.captured_ns
            if key not in newest or one.revision >= newest[key].revision:
                newest[key] = one
        self._changes: dict[str, tuple[list[int], list[str]]] = {}
        """by model: since when, and which version"""
        for (model, captured_ns), one in sorted(newest.items()):
            times, versions = self._changes.setdefault(model, ([], []))
            if not versions or versions[-1] != one.provenance.model_version:
                times.append(captured_ns)
                versions.append(one.provenance.model_version)

    def __call__(self, model: str, captured_ns: int) -> str:
        times, versions = self._changes.get(model, ([], []))
        return versions[max(bisect_right(times, captured_ns) - 1, 0)] if versions else ""


def named_versions(bootstrap: str, log: PartitionLog, camera: str, start_offset: int) -> NamedVersions:
    """By all that was published of a camera's log from an offset on. Blocks. Raises LogGoneError, LogSilentError."""
    stamped_ms = next((records[0].timestamp_ms for records in log.read(start_offset)), 0)
    return NamedVersions(_answered(bootstrap, log, camera, stamped_ms - _EARLY_MS))


def _answered(bootstrap: str, log: PartitionLog, camera: str, since_ms: int) -> Iterable[Answered]:
    decoder = msgspec.json.Decoder(Answered)
    with PartitionLog(bootstrap, DETECTIONS.name, log.partition) as results:
        for records in results.read(results.at(since_ms)):
            for record in records:
                if record.key != camera.encode():
                    continue
                try:
                    one = decoder.decode(record.value)
                except msgspec.DecodeError:
                    continue
                if one.provenance.topic == log.topic and one.provenance.model_version:
                    yield one


class Faithful:
    """The detector port for looking again: a version that is asked for and not served ends it, instead of failing one
    window after the other."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    async def contract(self, model: str, version: str = "") -> ModelContract:
        try:
            return await self._detector.contract(model, version)
        except NotServedError as error:
            raise (_gone(model, version) if version else error) from error

    async def infer(self, contract: ModelContract, images: Sequence[NDArray[np.uint8]]) -> list[Inference]:
        return await _of_named(contract, self._detector.infer(contract, images))

    async def infer_with(self, contract: ModelContract, image: NDArray[np.uint8], beside: Beside) -> Inference:
        return await _of_named(contract, self._detector.infer_with(contract, image, beside))

    async def scene(self, model: str) -> SceneContract:
        """The live version: detections, by which versions are known, do not name this model's."""
        return await self._detector.scene(model)

    async def observe(
        self, contract: SceneContract, image: NDArray[np.uint8], h: NDArray[np.float32], c: NDArray[np.float32]
    ) -> Observation:
        return await self._detector.observe(contract, image, h, c)


async def _of_named(contract: ModelContract, answer: Awaitable[T]) -> T:
    try:
        return await answer
    except NotServedError as error:
        raise (_gone(contract.name, contract.version) if contract.exact else error) from error


def _gone(model: str, version: str) -> VersionGoneError:
    missing = f"results name version {version} of model {model}, which is not served"
    return VersionGoneError(f"{missing}: promote the live one again with --also {version}")

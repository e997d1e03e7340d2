"""Cameras that take part in comparisons of two models, as the topic `cameras` tells of them."""

import asyncio
from typing import Final, Literal

import msgspec
from msgspec import Struct

from gateway.hub import Hub
from gateway.log import Log, LogUnavailable, PositionGone, Record
from runtime.logging import logger
from runtime.metrics import EXPERIMENT_ARM
from schemas.analysis import CameraSpec, Experiment
from schemas.experiment import started, stopped
from schemas.topics import CAMERAS

_READ_SECONDS: Final = 10.0

_decode = msgspec.json.Decoder(CameraSpec)


class HalfWritten(Exception):
    """The log went away between two cameras."""


class Stand(Struct, frozen=True):
    """A camera as its latest record says."""

    spec: CameraSpec
    written_ms: int


class Experiments:
    """Reads the whole topic anew for each question, because commands and other gateways write to it, too."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._changing = asyncio.Lock()
        """two that are begun at once would both take the same cameras"""
        self._shown: dict[str, tuple[str, str, str, str]] = {}

    def follow(self, cameras: Hub) -> None:
        """For the metric."""
        cameras.watch(self._show)

    async def cameras(self) -> dict[str, Stand]:
        """Raises LogUnavailable."""
        start, stop = await self._log.starts(CAMERAS.name), await self._log.ends(CAMERAS.name)
        found: dict[str, Stand] = {}
        try:
            async with asyncio.timeout(_READ_SECONDS), self._log.reader(CAMERAS.name, start, stop) as reader:
                async for batch in reader:
                    for record in batch:
                        camera = record.key.decode("utf-8", "replace")
                        spec = _spec(record)
                        if spec is not None:
                            found[camera] = Stand(spec, record.timestamp_ms)
                        elif not record.value:
                            found.pop(camera, None)
        except (TimeoutError, PositionGone) as error:
            raise LogUnavailable(f"the cameras could not be read: {error}") from error
        return found

    async def start(self, name: str, a: str, b: str, share: float) -> None:
        """Raises ExperimentRunsError, ValueError for what compares nothing, LogUnavailable, HalfWritten."""
        async with self._changing:
            await self._write(started(specs(await self.cameras()), name, a, b, share))

    async def stop(self, name: str, keep: Literal["a", "b"]) -> list[CameraSpec]:
        """The cameras that took part. Raises NoExperimentError, LogUnavailable, HalfWritten."""
        async with self._changing:
            changed = stopped(specs(await self.cameras()), name, keep)
            await self._write(changed)
            return changed

    async def _write(self, changed: list[CameraSpec]) -> None:
        for count, spec in enumerate(changed):
            try:
                await self._log.publish(CAMERAS.name, spec.id.encode(), msgspec.json.encode(spec))
            except LogUnavailable as error:
                if not count:
                    raise
                raise HalfWritten(f"{count} of {len(changed)} cameras are changed: {error}") from error

    def _show(self, record: Record) -> None:
        camera = record.key.decode("utf-8", "replace")
        spec = _spec(record)
        if spec is None and record.value:
            return
        before = self._shown.pop(camera, None)
        now = None
        if spec is not None and isinstance(spec.experiment, Experiment):
            now = (spec.experiment.name, spec.experiment.arm, camera, spec.analysis.model)
            self._shown[camera] = now
            EXPERIMENT_ARM.labels(*now).set(1)
        if before is not None and before != now:
            EXPERIMENT_ARM.remove(*before)


def specs(cameras: dict[str, Stand]) -> dict[str, CameraSpec]:
    return {camera: stand.spec for camera, stand in cameras.items()}


def _spec(record: Record) -> CameraSpec | None:
    """None for a removed camera, and for what cannot be read: its last word stays."""
    if not record.value:
        return None
    try:
        return _decode.decode(record.value)
    except msgspec.MsgspecError as error:
        logger("gateway.experiments").warning("unreadable camera", offset=record.offset, error=str(error)[:200])
        return None

"""One GOP on its way through a session: what it contained, what came of it, what is still unacknowledged."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from processors.chain import STATE_VERSION
from schemas.messages import COLD, SHED, AnalysisLedger, FailedWindow, Provenance

_SHED: Final = ("", "every second frame", "three of four frames", "all but the keyframe")


class Acknowledgements:
    """Counts what was published and is not yet acknowledged. Lives on one event loop."""

    def __init__(self) -> None:
        self._open = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    def sent(self) -> None:
        self._open += 1
        self._quiet.clear()

    def delivered(self) -> None:
        self._open -= 1
        if self._open == 0:
            self._quiet.set()

    async def all_delivered(self) -> None:
        await self._quiet.wait()


@dataclass
class Window:
    camera: str
    session: str
    gop: int
    captured_ns: int
    topic: str
    partition: int
    keyframe_offset: int
    last_offset: int
    traceparent: str | None = None
    level: int = 0
    """how much of it is left out for later, see `processors.shedding`"""
    consumed: int = 0
    inferred: int = 0
    skipped: int = 0
    damage: str = ""
    """why decoding stopped; frames in front of it count"""
    refusal: str = ""
    """why inference stopped; frames in front of it count"""
    cold: str = ""
    """why what was known of the camera could not be used for this GOP and those behind it"""
    undecodable: int = 0
    """leading pictures of an open GOP, which refer to what lies before its keyframe"""
    offsets: dict[int, int] = field(default_factory=dict)
    """offset of each access unit by its index in the GOP"""
    acks: Acknowledgements = field(default_factory=Acknowledgements)

    @property
    def reason(self) -> str:
        return self.damage or self.refusal

    @property
    def shed(self) -> str:
        return f"{SHED}{_SHED[self.level]}" if self.level else ""

    def take(self, index: int, offset: int) -> None:
        self.consumed += 1
        self.last_offset = offset
        self.offsets[index] = offset

    def provenance(self, index: int, model: str, version: str, config: str) -> Provenance:
        return Provenance(
            topic=self.topic,
            partition=self.partition,
            keyframe_offset=self.keyframe_offset,
            first_offset=self.keyframe_offset,
            last_offset=self.offsets.get(index, self.keyframe_offset),
            model=model,
            model_version=version,
            config=config,
        )

    def ledger(self) -> AnalysisLedger:
        decoded = self.inferred + self.skipped
        return AnalysisLedger(
            camera=self.camera,
            session=self.session,
            gop=self.gop,
            captured_ns=self.captured_ns,
            consumed=self.consumed,
            decoded=decoded,
            inferred=self.inferred,
            skipped=self.skipped,
            failed=self.consumed - decoded,
            topic=self.topic,
            partition=self.partition,
            keyframe_offset=self.keyframe_offset,
            reason=self.reason
            or self.shed
            or (f"{COLD}{self.cold}" if self.cold else "")
            or (f"{self.undecodable} leading pictures of an open GOP" if self.undecodable else ""),
        )

    def failed_window(self) -> FailedWindow:
        return FailedWindow(
            camera=self.camera,
            session=self.session,
            gop=self.gop,
            topic=self.topic,
            partition=self.partition,
            keyframe_offset=self.keyframe_offset,
            first_offset=self.keyframe_offset,
            last_offset=self.last_offset,
            reason=self.reason,
        )

    def shed_window(self, state: str) -> FailedWindow:
        """Said before the GOP is known. `state`: the chain's in front of it."""
        return FailedWindow(
            camera=self.camera,
            session=self.session,
            gop=self.gop,
            topic=self.topic,
            partition=self.partition,
            keyframe_offset=self.keyframe_offset,
            first_offset=self.keyframe_offset,
            last_offset=self.keyframe_offset,
            reason=self.shed,
            shed=True,
            state=state,
            state_version=STATE_VERSION if state else 0,
        )

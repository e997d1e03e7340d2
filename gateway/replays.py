"""Replays that were asked for, as the topic tells of them."""

from collections.abc import Callable
from typing import Final, Literal

import msgspec

from gateway.hub import Hub
from gateway.log import Record
from runtime.logging import logger
from schemas.messages import ReplayEntry, ReplayRequest, ReplayState
from schemas.topics import REPLAYS

MAX_WAITING: Final = 32
_KEPT: Final = 500

State = Literal["waiting", "running", "done", "failed", "cancelled"]

_decode: msgspec.json.Decoder[ReplayEntry] = msgspec.json.Decoder(ReplayEntry)


class Replay:
    def __init__(self, request: ReplayRequest, asked: float) -> None:
        self.request, self.asked = request, asked
        self.told: ReplayState | None = None
        """the latest; a final one stays, whatever a replayer that was killed says when it does it again"""
        self.begun = self.heard = asked
        """seconds since 1970: the beginning of the attempt that counts, the latest word of it"""

    @property
    def state(self) -> State:
        if self.told is not None and (self.told.state != "running" or not self.request.cancelled):
            return self.told.state
        return "cancelled" if self.request.cancelled else "waiting"

    @property
    def finished(self) -> bool:
        return self.state in ("done", "failed", "cancelled")

    @property
    def seconds(self) -> float:
        """Of the capture that are to be looked at."""
        return (self.request.to_ns - self.request.from_ns) / 1e9

    @property
    def progress(self) -> float:
        if self.told is None:
            return 0.0
        return 1.0 if self.told.state == "done" else min(1.0, self.told.captured_seconds / self.seconds)

    @property
    def times_real_time(self) -> float | None:
        if self.told is None or self.heard <= self.begun:
            return None
        return self.told.captured_seconds / (self.heard - self.begun)

    def tell(self, state: ReplayState, at: float) -> None:
        if self.told is not None and self.told.state != "running":
            return
        if self.told is None or state.captured_seconds < self.told.captured_seconds:
            self.begun = at
        self.told, self.heard = state, at


class Replays:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._replays: dict[str, Replay] = {}

    def follow(self, replays: Hub) -> None:
        replays.watch(self._on_record)

    def get(self, replay_id: str) -> Replay | None:
        return self._replays.get(replay_id)

    def all(self) -> list[Replay]:
        """The latest first."""
        return sorted(self._replays.values(), key=lambda replay: replay.asked, reverse=True)

    @property
    def full(self) -> bool:
        return sum(not replay.finished for replay in self._replays.values()) >= MAX_WAITING

    def take(self, request: ReplayRequest, at: float | None = None) -> Replay:
        """Also what this process has just published: the topic tells it once more."""
        known = self._replays.get(request.id)
        if known is None:
            known = self._replays[request.id] = Replay(request, self._clock() if at is None else at)
            self._forget()
        elif request.cancelled:
            known.request = request
        return known

    def _on_record(self, record: Record) -> None:
        try:
            entry = _decode.decode(record.value or b"")
        except msgspec.MsgspecError as error:
            where = f"{REPLAYS.name}/{record.partition}@{record.offset}"
            logger("gateway.replays").warning("unreadable record", where=where, error=str(error))
            return
        at = record.timestamp_ms / 1000 if record.timestamp_ms > 0 else self._clock()
        if isinstance(entry, ReplayRequest):
            self.take(entry, at)
        elif (replay := self._replays.get(entry.id)) is not None:
            replay.tell(entry, at)

    def _forget(self) -> None:
        """The oldest of the finished ones, or simply the oldest."""
        if len(self._replays) > _KEPT:
            oldest = min(self._replays.values(), key=lambda replay: (not replay.finished, replay.asked))
            del self._replays[oldest.request.id]

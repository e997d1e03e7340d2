"""What some hours of results say of two models: which of them answered when, and which events there were."""

from collections import defaultdict
from collections.abc import Collection
from typing import Final

import msgspec
from msgspec import Struct

from schemas.messages import Event
from schemas.results import retracted

EARLY_MS: Final = 5_000
"""records are looked for from so long before the first capture time on: clocks of two machines differ"""
_NOT_SEEN: Final = ("gap", "end")
"""kinds that no model finds"""


class Seen(Struct, frozen=True):
    models: dict[str, dict[int, frozenset[str]]]
    """by camera and window: which models have answered"""
    events: tuple[Event, ...]
    """newest revisions, without what was taken back"""


class _Named(Struct, frozen=True):
    model: str


class _Answered(Struct, frozen=True):
    """Of Detections no more than what is needed here."""

    captured_ns: int
    provenance: _Named


_answered = msgspec.json.Decoder(_Answered)
_event = msgspec.json.Decoder(Event)


class Gathering:
    """Is given the records of `detections` and `events` from `since_ms` on, in any order of the partitions; what cannot
    be read is passed over."""

    def __init__(self, from_ns: int, to_ns: int, window_seconds: float) -> None:
        """Raises ValueError where there is not one whole window."""
        self._from_ns, self._window_ns = from_ns, round(window_seconds * 1e9)
        self.windows: Final = (to_ns - from_ns) // self._window_ns
        """whole ones; what is left over at the end is not looked at"""
        if self.windows < 1:
            raise ValueError(f"from its beginning to its end is less than one window of {window_seconds:g} s")
        self._until_ns = from_ns + self.windows * self._window_ns
        self._models: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        self._newest: dict[str, Event] = {}

    @property
    def since_ms(self) -> int:
        """Timestamp of the first record that is wanted."""
        return max(0, self._from_ns // 1_000_000 - EARLY_MS)

    @property
    def events(self) -> int:
        return len(self._newest)

    def take_detections(self, camera: str, value: bytes) -> None:
        try:
            answered = _answered.decode(value)
        except msgspec.MsgspecError:
            return
        if self._from_ns <= answered.captured_ns < self._until_ns:
            at = (answered.captured_ns - self._from_ns) // self._window_ns
            self._models[camera][at].add(answered.provenance.model)

    def take_event(self, value: bytes) -> None:
        try:
            event = _event.decode(value)
        except msgspec.MsgspecError:
            return
        known = self._newest.get(event.id)
        if self._from_ns <= event.captured_ns < self._until_ns and (known is None or event.revision >= known.revision):
            self._newest[event.id] = event

    def seen(self, models: Collection[str]) -> Seen:
        """`models`: those whose events count."""
        wanted = [
            event
            for event in self._newest.values()
            if event.kind not in _NOT_SEEN and event.provenance.model in models and not retracted(event)
        ]
        return Seen(
            {camera: {at: frozenset(names) for at, names in found.items()} for camera, found in self._models.items()},
            tuple(wanted),
        )

"""All cameras as they are now: follows `cameras`, `detections`, `ledger`, `events` and `heartbeats`."""

from collections.abc import Callable
from typing import Final

import msgspec

from gateway.camera import Camera
from gateway.hub import Hub
from gateway.log import Record
from runtime.logging import logger
from schemas.analysis import CameraSpec
from schemas.messages import Detections, EndLedger, Event, Heartbeat, IngestLedger, LedgerEntry

_HEARTBEAT_SECONDS: Final = 15.0
_COMPLAINT_SECONDS: Final = 30.0
_MAX_UNKNOWN: Final = 1000
"""cameras that results name but no spec does: bounded, so that a flood of ids cannot fill the memory"""

_decode_spec = msgspec.json.Decoder(CameraSpec)
_decode_detections = msgspec.json.Decoder(Detections)
_decode_event = msgspec.json.Decoder(Event)
_decode_ledger: msgspec.json.Decoder[LedgerEntry] = msgspec.json.Decoder(LedgerEntry)
_decode_heartbeat = msgspec.json.Decoder(Heartbeat)
_decode_timing = msgspec.json.Decoder(dict[str, float])


class Roster:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._cameras: dict[str, Camera] = {}
        self._beats: dict[str, tuple[Heartbeat, float]] = {}
        self.bad_records = 0
        self._complained = float("-inf")

    def follow(self, cameras: Hub, detections: Hub, ledger: Hub, events: Hub, heartbeats: Hub) -> None:
        cameras.watch(self._guarded(self._on_spec))
        detections.watch(self._guarded(self._on_detections))
        ledger.watch(self._guarded(self._on_ledger))
        events.watch(self._guarded(self._on_event))
        heartbeats.watch(self._guarded(self._on_heartbeat))

    def get(self, camera_id: str) -> Camera | None:
        return self._cameras.get(camera_id)

    def all(self) -> list[Camera]:
        return sorted(self._cameras.values(), key=lambda camera: camera.id)

    def roles(self, camera_id: str) -> dict[str, float]:
        """role -> seconds since a process in that role last said that it has this camera."""
        now = self._clock()
        seen: dict[str, float] = {}
        for beat, arrived in self._beats.values():
            if camera_id in beat.cameras:
                seen[beat.role] = min(now - arrived, seen.get(beat.role, float("inf")))
        return seen

    def alive(self, role: str) -> bool:
        now = self._clock()
        return any(beat.role == role and now - at < _HEARTBEAT_SECONDS for beat, at in self._beats.values())

    def _guarded(self, react: Callable[[Record], None]) -> Callable[[Record], None]:
        def guarded(record: Record) -> None:
            try:
                react(record)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                self._complain(record, str(error))

        return guarded

    def _complain(self, record: Record, error: str) -> None:
        """Now and then: a writer gone mad must not flood the log."""
        self.bad_records += 1
        now = self._clock()
        if now - self._complained >= _COMPLAINT_SECONDS:
            self._complained = now
            logger("gateway.roster").warning(
                "unreadable records",
                so_far=self.bad_records,
                partition=record.partition,
                offset=record.offset,
                error=error,
            )

    def _camera(self, camera_id: str) -> Camera | None:
        camera = self._cameras.get(camera_id)
        if camera is None and len(self._cameras) < _MAX_UNKNOWN:
            camera = self._cameras[camera_id] = Camera(camera_id)
        return camera

    def _on_spec(self, record: Record) -> None:
        camera_id = record.key.decode()
        if record.value is None:
            self._cameras.pop(camera_id, None)
            return
        spec = _decode_spec.decode(record.value)
        self._cameras.setdefault(camera_id, Camera(camera_id)).spec = spec

    def _on_detections(self, record: Record) -> None:
        if record.value is not None and (camera := self._known(record)) is not None:
            timing = record.headers.get("timing")
            total = _decode_timing.decode(timing).get("total") if timing else None
            camera.on_detections(_decode_detections.decode(record.value), total, self._when(record))

    def _on_ledger(self, record: Record) -> None:
        if record.value is None or (camera := self._known(record)) is None:
            return
        entry = _decode_ledger.decode(record.value)
        if isinstance(entry, IngestLedger):
            camera.on_ingest(entry, self._when(record))
        elif isinstance(entry, EndLedger):
            camera.ended = entry.error

    def _on_event(self, record: Record) -> None:
        if record.value is None or b'"gap"' not in record.value:
            return
        event = _decode_event.decode(record.value)
        if event.kind == "gap" and (camera := self._known(record)) is not None:
            camera.gap = event

    def _on_heartbeat(self, record: Record) -> None:
        if record.value is not None:
            beat = _decode_heartbeat.decode(record.value)
            self._beats[beat.process] = beat, self._when(record)
            now = self._clock()
            self._beats = {name: seen for name, seen in self._beats.items() if now - seen[1] < 3600}

    def _when(self, record: Record) -> float:
        """When the record was written: right also for what is read late, after a start of this process."""
        now = self._clock()
        return min(now, record.timestamp_ms / 1000) if record.timestamp_ms > 0 else now

    def _known(self, record: Record) -> Camera | None:
        """Cameras whose spec was withdrawn but whose results still come are shown too, jobs are not."""
        camera_id = record.key.decode()
        if camera_id.startswith("job-") and camera_id not in self._cameras:
            return None
        return self._camera(camera_id)

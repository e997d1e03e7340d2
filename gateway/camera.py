"""What is known of one camera at this moment, gathered from the topics."""

from collections import deque
from typing import Final

from schemas.analysis import CameraSpec
from schemas.messages import AccessUnit, Detections, Event, IngestLedger

WINDOW_SECONDS: Final = 60.0
_FPS_SECONDS: Final = 10.0
_MAX_SAMPLES: Final = 8192


class Camera:
    """Mutable: it follows the topics. `now` of the `on_` methods: when the record was written."""

    def __init__(self, camera_id: str) -> None:
        self.id = camera_id
        self.spec: CameraSpec | None = None
        self.newest_ns: int | None = None
        """capture time of the newest frame that is known of, whether analysed or not"""
        self.analysed_ns: int | None = None
        self.arrived: float | None = None
        """when something new of this camera was last seen"""
        self.width = self.height = 0
        self.codec: str | None = None
        self.signals: dict[str, str] = {}
        self.model: tuple[str, str] | None = None
        self.gap: Event | None = None
        self.ended: str | None = None
        """an end was reached: its error, or an empty text; None while the source goes on"""
        self._results: deque[tuple[float, int, float | None]] = deque(maxlen=_MAX_SAMPLES)
        self._source_fps: float | None = None
        self._last_gop: IngestLedger | None = None

    def on_detections(self, seen: Detections, total_ms: float | None, now: float) -> None:
        # a replay revises the past: it says nothing about now
        if seen.revision or (self.analysed_ns is not None and seen.captured_ns <= self.analysed_ns):
            return
        self.analysed_ns = seen.captured_ns
        self._newer(seen.captured_ns, now)
        self.width, self.height = seen.width, seen.height
        self.signals = seen.signals
        self.model = seen.provenance.model, seen.provenance.model_version
        self._results.append((now, seen.captured_ns, total_ms))

    def on_ingest(self, entry: IngestLedger, now: float) -> None:
        before = self._last_gop
        if before is not None and before.session == entry.session and entry.captured_ns > before.captured_ns:
            self._source_fps = before.received * 1e9 / (entry.captured_ns - before.captured_ns)
        self._last_gop = entry
        self._newer(entry.captured_ns, now)

    def on_frame(self, unit: AccessUnit, now: float) -> None:
        self.codec, self.width, self.height = unit.codec, unit.width, unit.height
        self._newer(unit.captured_ns, now)

    def fps(self, now: float) -> float:
        """Analysed frames per second of capture time over the last seconds."""
        times = [captured for arrived, captured, _ in self._results if now - arrived <= _FPS_SECONDS]
        span = times[-1] - times[0] if len(times) > 1 else 0
        return (len(times) - 1) * 1e9 / span if span > 0 else 0.0

    def source_fps(self) -> float | None:
        return self._source_fps

    def latency_ms(self, now: float) -> tuple[float, float] | None:
        """p50 and p95 of the time from capture to result over the last minute, by nearest rank."""
        totals = sorted(ms for arrived, _, ms in self._results if ms is not None and now - arrived <= WINDOW_SECONDS)
        if not totals:
            return None
        return totals[(len(totals) - 1) // 2], totals[min(len(totals) - 1, -(-len(totals) * 95 // 100) - 1)]

    def _newer(self, captured_ns: int, now: float) -> None:
        if self.newest_ns is None or captured_ns > self.newest_ns:
            self.newest_ns = captured_ns
            self.arrived = now
            self.ended = None

"""A camera that is live: frames, boxes and events at the pace of life."""

import threading
import time
from typing import ClassVar

import msgspec

from schemas.analysis import Analysis, CameraSpec, Source
from schemas.messages import AccessUnit
from tests.gateway import clip
from tests.gateway.writer import Writer

ROUND = 200
"""frames; the encoded clip begins again after them"""


class Live:
    """Boxes come `delay` frames after their picture, and only for every `sample`-th."""

    _encoded: ClassVar[dict[str, list[AccessUnit]]] = {}

    def __init__(
        self, writer: Writer, camera: str, codec: str = "libx264", delay: int = 1, sample: int = 1, boxes: bool = True
    ) -> None:
        self._writer, self.camera, self._delay, self._sample, self._boxes = writer, camera, delay, sample, boxes
        if codec not in self._encoded:
            self._encoded[codec] = list(clip.access_units("any", ROUND, 0, codec=codec))
        self._units = self._encoded[codec]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.start_ns = time.time_ns()
        self.events = 0

    def captured(self, index: int) -> int:
        return self.start_ns + index * 10**9 // clip.FPS

    def index_of(self, captured: float) -> int:
        return round((captured - self.start_ns) * clip.FPS / 1e9) % ROUND

    def event(self, kind: str = "line_crossed") -> None:
        self._writer.result(clip.event(self.camera, self.events, time.time_ns(), kind), {"total": 90.0})
        self.events += 1

    def _run(self) -> None:
        index = 0
        while not self._stop.wait(max(0.0, self.captured(index) / 1e9 - time.time())):
            unit = self._units[index % ROUND]
            captured = self.captured(index)
            self._writer.frame(
                msgspec.structs.replace(unit, camera=self.camera, captured_ns=captured, gop=index // clip.GOP)
            )
            known = index - self._delay
            if self._boxes and known >= 0 and known % self._sample == 0:
                found = clip.detections(self.camera, known % ROUND, self.captured(known))
                self._writer.result(found, {"total": 90.0})
            index += 1

    def __enter__(self) -> "Live":
        analysis = msgspec.json.decode(clip.ANALYSIS, type=Analysis)
        self._writer.spec(CameraSpec(id=self.camera, source=Source(url="rtsp://x/y"), analysis=analysis))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._writer.withdraw(self.camera)

"""The life of one camera: open, read, lose, come back, for ever; or to the end of a file."""

import random
import threading
import time
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Struct

from ingest.clock import ArrivalClock
from ingest.gop_queue import GopQueue
from ingest.limits import Limits
from ingest.publisher import Publisher
from ingest.reading import Reading
from ingest.source import OpenSource, SourceError, kind_of, name_of
from ingest.take import Outage, Take
from runtime.logging import logger
from runtime.metrics import INGEST_CONNECTED, INGEST_FAILURES, INGEST_LOST, INGEST_RECEIVED, INGEST_SESSIONS
from schemas.analysis import Analysis, CameraSpec
from schemas.messages import Codec, End
from schemas.topics import FRAMES, FRAMES_BATCH

_STEADY_SECONDS: Final = 10.0
"""a connection that lasted so long was a good one: the next attempt comes soon"""


def analysis_bytes(analysis: Analysis) -> bytes:
    """The header `analysis`: the same bytes for the same configuration."""
    return msgspec.json.encode(analysis, order="deterministic")


class Past(Struct, frozen=True):
    """What the log has of a camera."""

    captured_ns: int = 0
    """the latest capture time"""
    outage: Outage | None = None
    """the hole that the camera's next picture closes"""


class Camera:
    """Owns a thread that reads the source and the queue that the thread fills."""

    def __init__(
        self,
        spec: CameraSpec,
        publisher: Publisher,
        limits: Limits,
        clock: ArrivalClock,
        recall: Callable[[threading.Event], Past] = lambda stop: Past(),
        on_end: Callable[[str], None] = lambda camera: None,
        on_gone: Callable[[str], None] = lambda camera: None,
    ) -> None:
        """`recall`: what the log has of this camera; called from the camera's thread, and must return when the event is
        set. `on_end`, `on_gone`: called with the camera's id, from another thread, when Kafka has its `end` record;
        when a stopped camera's last record has left."""
        self.spec = spec
        self._publisher = publisher
        self._limits = limits
        self._clock = clock
        self._analysis = analysis_bytes(spec.analysis)
        self._recall = recall
        self._floor_ns = 0
        self._outage: Outage | None = None
        self._take: Take | None = None
        self._session = ""
        """the last one that is over"""
        self._stop = threading.Event()
        self.ended = False
        self._log = logger("camera").bind(camera=spec.id, source=name_of(spec.source.url))
        self._received = INGEST_RECEIVED.labels(spec.id)
        self._failures = INGEST_FAILURES.labels(spec.id)
        self._connected = INGEST_CONNECTED.labels(spec.id)
        self._queue = GopQueue(limits, publisher.wake, self._count_lost)
        publisher.add(
            spec.id,
            (FRAMES_BATCH if spec.batch else FRAMES).name,
            self._queue,
            on_end=lambda: on_end(spec.id),
            on_gone=lambda: on_gone(spec.id),
        )
        self._thread = threading.Thread(target=self._run, name=f"camera-{spec.id}", daemon=True)

    @property
    def connected(self) -> bool:
        return self._take is not None

    @property
    def waiting(self) -> int:
        return self._queue.waiting

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns at once. A thread inside a blocking read ends with that read; its packets go nowhere."""
        self._stop.set()
        self._queue.close()
        self._publisher.retire(self._queue)
        self._connected.set(0)

    def leave(self) -> None:
        """As `stop`, and for good: the log ends with an `end` record, so that what is still open is finished."""
        take = self._take
        running = take is not None and take.pictures > 0
        session = take.session if take is not None and running else self._session
        if session and not self.ended:
            captured_ns = max(self._floor_ns, take.highest_ns if take is not None else 0)
            # a recording that was not read to its end is not a whole one
            error = "removed before its end" if self.spec.batch else ""
            self._queue.close(End(self.spec.id, session, 0, error, self._analysis, captured_ns))
        self.stop()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def analyse_as(self, spec: CameraSpec) -> None:
        """From the next keyframe on; the source is not touched."""
        self.spec = spec
        self._analysis = analysis_bytes(spec.analysis)

    def _count_lost(self, reason: str, lost: int) -> None:
        INGEST_LOST.labels(self.spec.id, reason).inc(lost)

    def _run(self) -> None:
        self._connected.set(0)
        source = self.spec.source
        past = self._recall(self._stop)
        self._floor_ns, self._outage = past.captured_ns, past.outage
        since_ns = self._clock.now_ns()
        attempts, reported = 0, ""
        while not self._stop.is_set():
            began = time.monotonic()
            finite = self.spec.batch
            try:
                finite = finite or kind_of(source.url) == "file"
                with OpenSource(source) as opened:
                    finite = finite or opened.finite
                    self._read(opened)
                reason, message = "end_of_stream", "the source ended the stream"
                error = ""
            except SourceError as failure:
                reason, message = failure.reason, str(failure)
                error = message
            except Exception as failure:
                self._log.exception("a bug in reading this camera")
                reason, message = "bug", type(failure).__name__
                error = f"ingest failed: {message}"
            take, self._take = self._take, None
            self._queue.finish()
            if self._stop.is_set():
                return
            self._connected.set(0)
            if take is not None:
                self._floor_ns = max(self._floor_ns, take.highest_ns)
            if error:
                self._failures.inc()
            if finite:
                self._end(take, error)
                return
            if take is not None and take.pictures:
                self._session = take.session
                self._outage = Outage(reason, self._floor_ns)
                reported = ""
            elif self._outage is None:
                self._outage = Outage(reason, since_ns)
            if time.monotonic() - began > _STEADY_SECONDS and take is not None:
                attempts = 0
            if reason != reported:
                self._log.warning("source failed", reason=reason, error=message)
                reported = reason
            self._stop.wait(self._backoff(attempts))
            attempts += 1

    def _backoff(self, attempts: int) -> float:
        least, most = self._limits.backoff_seconds
        return min(most, least * 2.0 ** min(attempts, 16)) * random.uniform(0.5, 1.0)

    def _read(self, opened: OpenSource) -> None:
        source = self.spec.source
        self._clock.follow()
        self._queue.blocking = opened.finite

        def make_take(codec: Codec) -> Take:
            start_ns = None
            if opened.finite:
                start_ns = self._clock.now_ns() if source.start_ns is None else source.start_ns
            return Take(
                camera=self.spec.id,
                codec=codec,
                time_base=opened.time_base,
                queue=self._queue,
                analysis=lambda: self._analysis,
                # a start that is given is meant, also when the log has later pictures of an earlier reading
                floor_ns=0 if opened.finite and source.start_ns is not None else self._floor_ns,
                start_ns=start_ns,
                outage=None if opened.finite else self._outage,
            )

        reading = Reading(
            opened,
            self._limits,
            self._clock,
            make_take,
            on_received=self._received.inc,
            on_lost=self._count_lost,
            stop=self._stop,
            paced=opened.finite and source.pace == "live" and not self.spec.batch,
        )
        self._take = reading.take
        self._connected.set(1)
        INGEST_SESSIONS.labels(self.spec.id).inc()
        self._log.info("source opened", codec=opened.codec or f"{opened.codec_name}, transcoded", finite=opened.finite)
        reading.run(opened)
        looped = opened.finite and source.loop and not self.spec.batch
        if opened.finite and not looped and not self._stop.is_set():
            opened.check_complete()
        while looped and not self._stop.is_set():
            if not reading.take.pictures:
                raise SourceError("no_video", f"{opened.name} holds no picture")
            with OpenSource(source) as once_more:
                reading.again(once_more)
                reading.run(once_more)

    def _end(self, take: Take | None, error: str) -> None:
        if not error and (take is None or not take.pictures):
            error = f"{name_of(self.spec.source.url)} holds no picture"
        captured_ns = self._floor_ns or self.spec.source.start_ns or self._clock.now_ns()
        session = take.session if take is not None else "none"
        self._log.info("file ended", error=error, pictures=take.pictures if take else 0)
        self._queue.put_end(End(self.spec.id, session, 0, error, self._analysis, captured_ns))
        self.ended = True

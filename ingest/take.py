"""One uninterrupted reading of a source: its pictures get their session, capture time and trace, and are queued."""

import uuid
from collections.abc import Callable
from fractions import Fraction

from msgspec import Struct

from ingest.clock import Anchor, CaptureClock, not_before
from ingest.framing import Framed
from ingest.gop_queue import Account, GopQueue
from ingest.trace import new_traceparent
from schemas.messages import AccessUnit, Codec, Gap


class Outage(Struct, frozen=True):
    """Why the log of a camera has no pictures, and since when."""

    reason: str
    from_ns: int


class Take:
    """Ends with the connection, or with the file; a looped file is one take."""

    def __init__(
        self,
        camera: str,
        codec: Codec,
        time_base: Fraction,
        queue: GopQueue,
        analysis: Callable[[], bytes],
        floor_ns: int,
        start_ns: int | None,
        outage: Outage | None,
    ) -> None:
        """`start_ns`: capture time of the first picture; None: by the arrival of the first packets.
        `floor_ns`: the latest capture time this camera has had."""
        self._camera, self._codec, self._time_base = camera, codec, time_base
        self._queue, self._analysis = queue, analysis
        self._start_ns = start_ns
        self._outage = outage
        self._anchor: Anchor | None = Anchor(time_base) if start_ns is None else None
        self._clock: CaptureClock | None = None
        self._held: list[Framed] = []
        self._account: Account | None = None
        self._trace = ""
        self.session = uuid.uuid4().hex[:16]
        self.highest_ns = floor_ns
        self.pictures = 0

    def add(self, framed: Framed) -> bool:
        """False: the queue was closed, the camera is to end. May hold the first pictures back until the clock is set,
        one picture's time at most."""
        if self._clock is not None:
            if self._anchor is not None:
                self._clock.observe(framed.pts, framed.arrival_ns)
            return self._queued(framed, self._clock)
        if self._start_ns is not None:
            self._clock = self._above_floor(CaptureClock(self._time_base, framed.pts, self._start_ns), framed.pts)
            return self._queued(framed, self._clock)
        assert self._anchor is not None
        self._held.append(framed)
        self._anchor.add(framed.pts, framed.arrival_ns)
        return self.release() if self._anchor.settled else True

    def release(self) -> bool:
        """Queues what was held back, by the clock as far as it is known."""
        if not self._held:
            return True
        assert self._anchor is not None
        held, self._held = self._held, []
        clock = self._above_floor(self._anchor.clock(), min(framed.pts for framed in held))
        self._clock = clock
        for framed in held:
            clock.observe(framed.pts, framed.arrival_ns)
        return all(self._queued(framed, clock) for framed in held)

    def _above_floor(self, clock: CaptureClock, pts: int) -> CaptureClock:
        return not_before(clock, self._time_base, pts, self.highest_ns)

    def _queued(self, framed: Framed, clock: CaptureClock) -> bool:
        keyframe = framed.index == 0
        if keyframe and clock.parted:
            clock = self._new_session(framed)
        captured_ns = clock.at(framed.pts)
        lost = framed.lost
        if keyframe:
            self._begin(framed, captured_ns)
            lost = {}
        self.highest_ns = max(self.highest_ns, captured_ns)
        self.pictures += 1
        return self._queue.put(
            AccessUnit(
                camera=self._camera,
                session=self.session,
                gop=framed.gop,
                index=framed.index,
                keyframe=keyframe,
                codec=self._codec,
                pts=framed.pts,
                time_base=(self._time_base.numerator, self._time_base.denominator),
                width=framed.width,
                height=framed.height,
                captured_ns=captured_ns,
                data=framed.data,
                analysis=self._analysis() if keyframe else None,
                traceparent=self._trace,
            ),
            lost,
        )

    def _begin(self, framed: Framed, captured_ns: int) -> None:
        if self._outage is not None:
            outage, self._outage = self._outage, None
            from_ns = min(outage.from_ns, captured_ns)
            self._queue.put_gap(Gap(self._camera, self.session, outage.reason, from_ns, captured_ns, lost=-1))
        self._trace = new_traceparent()
        self._queue.begin(Account(self._camera, self.session, framed.gop, captured_ns), framed.lost)

    def _new_session(self, framed: Framed) -> CaptureClock:
        """The source's clock and ours have parted: at this keyframe the capture time is set by arrival again."""
        clock = self._above_floor(CaptureClock(self._time_base, framed.pts, framed.arrival_ns), framed.pts)
        self._clock = clock
        self.session = uuid.uuid4().hex[:16]
        gap = Gap(self._camera, self.session, "clock", self.highest_ns, clock.at(framed.pts), lost=0)
        self._queue.put_gap(gap)
        return clock

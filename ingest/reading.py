"""From an open source's packets to a take: passed through or transcoded, paced where it is a file."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from av.packet import Packet

from ingest.clock import ArrivalClock
from ingest.framing import Coded, Framed, Framer
from ingest.limits import Limits
from ingest.source import OpenSource, SourceError
from ingest.take import Take
from ingest.timeline import Timeline
from ingest.transcode import Transcoder
from schemas.messages import Codec

KEYFRAME_SECONDS: Final = 60.0
"""no entry point for so long: connecting again makes most cameras send one"""


class Reading:
    """`make_take` gets the codec that the log will hold. One reading may run several times, over the loops of a
    file."""

    def __init__(
        self,
        opened: OpenSource,
        limits: Limits,
        clock: ArrivalClock,
        make_take: Callable[[Codec], Take],
        on_received: Callable[[int], None],
        on_lost: Callable[[str, int], None],
        stop: threading.Event,
        paced: bool,
    ) -> None:
        self._clock, self._stop, self._paced = clock, stop, paced
        self._on_received, self._on_lost = on_received, on_lost
        self._timeline = Timeline(opened.time_base, live=not opened.finite, rate=opened.rate)
        self._transcoder: Transcoder | None = None
        codec = opened.codec
        if codec is None:
            self._transcoder = Transcoder(opened, self._timeline)
        self.take = make_take(codec or "h264")
        self._framer = Framer(
            codec or "h264",
            opened.time_base,
            # the transcoder's timestamps are placed already
            self._timeline if codec else Timeline(opened.time_base, live=False, rate=opened.rate),
            opened.extradata if codec else None,
            None if opened.finite else limits.open_gop_seconds,
        )
        self._first: tuple[float, int] | None = None
        self._ends_at: float | None = None
        self._passed_through = codec is not None

    def again(self, opened: OpenSource) -> None:
        """The same file from its beginning."""
        if (opened.codec is not None) != self._passed_through:
            raise SourceError("changed", f"{opened.name} is another kind of video now")
        self._timeline.follow_on()
        if self._transcoder is not None:
            self._transcoder.decode_with(opened)

    def run(self, opened: OpenSource) -> None:
        """Until the source ends, `stop` is set or the queue is closed. Raises SourceError."""
        try:
            self._pump(opened)
        except SourceError:
            # what the decoder still holds was read before the failure
            self._drain()
            raise
        else:
            self._drain()
        finally:
            if not self._stop.is_set():
                self.take.release()
            for reason, count in self._framer.take_lost().items():
                # of no group of pictures, so on no ledger: before the first keyframe, or at the very end
                self._on_lost(reason, count)

    def _pump(self, opened: OpenSource) -> None:
        waiting_since = time.monotonic()
        for packet in opened.packets():
            if self._stop.is_set():
                return
            for coded in self._coded(packet, self._clock.now_ns()):
                if not self._push(coded):
                    return
            if self.take.pictures == 0 and not opened.finite and time.monotonic() - waiting_since > KEYFRAME_SECONDS:
                raise SourceError("no_keyframe", f"{opened.name} sends no picture that can be entered")

    def _drain(self) -> None:
        if self._transcoder is None or self._stop.is_set():
            return
        for coded in self._transcoder.flush(self._clock.now_ns()):
            self._on_received(1)
            if not self._push(coded):
                return

    def _coded(self, packet: "Packet[Any]", arrival_ns: int) -> Iterator[Coded]:
        if self._transcoder is None:
            if packet.has_sidedata("new_extradata"):
                self._framer.new_extradata(bytes(packet.get_sidedata("new_extradata")))
            self._on_received(1)
            yield Coded(bytes(packet), packet.pts, arrival_ns)
            return
        coded = self._transcoder.push(packet, arrival_ns)
        corrupt, self._transcoder.corrupt = self._transcoder.corrupt, 0
        if corrupt:
            self._framer.lose("corrupt", corrupt)
        self._on_received(len(coded) + corrupt)
        yield from coded

    def _push(self, coded: Coded) -> bool:
        framed = self._framer.push(coded)
        if framed is None:
            return True
        if self._paced and not self._wait_for(framed):
            return False
        return self.take.add(framed)

    def _wait_for(self, framed: Framed) -> bool:
        """Until the picture is due at the file's own speed. False: stopped meanwhile."""
        if self._first is None:
            self._first = time.monotonic(), framed.pts
            return True
        began, pts = self._first
        due = began + float((framed.pts - pts) * self._framer.time_base)
        delay = due - time.monotonic()
        return not (delay > 0 and self._stop.wait(delay))

"""Looking again at a span, whole: where to start, what to hold it against, when the past is consistent again."""

import asyncio
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from msgspec import Struct

from processors.chain import STATE_VERSION
from processors.ports import Detector
from replay.compare import Comparison, compare
from replay.log import LogGoneError, PartitionLog
from replay.past import Key, Outcome, checkpoints, key_of, published, repaired, time_of
from replay.span import Span, locate
from replay.walk import walk
from schemas.analysis import Analysis
from schemas.messages import AnalysisLedger, Checkpoint, Detections, EndLedger, Event, Flow
from schemas.results import Result

SECOND_NS: Final = 1_000_000_000
MINUTE_NS: Final = 60 * SECOND_NS
WARM_UP_SECONDS: Final = 30
"""A start without a checkpoint begins this much earlier, so that tracks and counts are what they were: a track lives
for some seconds, a light's phase is known after one change."""


class Again(Struct, frozen=True):
    span: Span
    comparison: Comparison
    start_offset: int
    end_offset: int
    until_ns: int
    """what was held against each other ends here: behind the span's end where its change went on"""
    cold: bool
    """no checkpoint was left in front of the span: results near its beginning depend on what was before"""
    consistent: bool
    """the state at the end is that of the live checkpoint there, or the end is that of the log"""
    frames: int


async def look_again(
    bootstrap: str,
    detector: Detector,
    camera: str,
    from_ns: int,
    to_ns: int,
    change: Callable[[Analysis], Analysis] | None = None,
    keep: Callable[[Result], None] = lambda _: None,
    threads: int = 2,
    follow: bool = True,
) -> Again:
    """Raises LogGoneError, LogSilentError. Publishes nothing.

    With `follow` and without a `change` it goes on behind `to_ns` until its state at a keyframe is that of the live
    checkpoint there: only then does nothing later depend on what has changed. A `change` makes another past, which
    starts cold and ends with the span.
    """
    with ThreadPoolExecutor(threads + 1, thread_name_prefix="replay") as pool:
        loop = asyncio.get_running_loop()
        span = await loop.run_in_executor(pool, locate, bootstrap, camera, from_ns, to_ns)
        left = await loop.run_in_executor(pool, checkpoints, bootstrap, span)
        restored = None
        if change is None:
            since_ns = from_ns - WARM_UP_SECONDS * SECOND_NS
            mended = await loop.run_in_executor(pool, repaired, bootstrap, span, since_ns)
            restored = _in_front(left, min([span.keyframe_offset, *mended]))
        walked = span
        if restored is None:
            walked = await loop.run_in_executor(pool, _warm, bootstrap, span)
        live = {checkpoint.offset: digest(checkpoint) for checkpoint in left}
        beginning = walked.keyframe_ns > from_ns - WARM_UP_SECONDS * SECOND_NS
        cold = restored is None and not beginning
        seen = _Seen(from_ns, keep)

        async def compared(until_ns: int) -> Comparison:
            before = await loop.run_in_executor(pool, published, bootstrap, span, until_ns)
            return _compared(before, seen, until_ns)

        async def goes_on(offset: int) -> bool:
            if offset in live:
                return seen.digests.get(offset) != live[offset]
            if not cold and not (await compared(to_ns)).differences:
                # the same state in front and the same results: the same state behind
                return False
            return not live or offset < max(live)

        following = goes_on if follow and change is None else None
        log = await loop.run_in_executor(pool, PartitionLog, bootstrap, span.topic, span.partition)
        with log:
            end = await walk(log, walked, detector, pool, seen.take, restored, change, following)
        at_head = end == log.high
        until_ns = seen.until_ns(to_ns, at_head)
        comparison = await compared(until_ns)
    return Again(
        span=span,
        comparison=comparison,
        start_offset=restored.offset if restored is not None else walked.keyframe_offset,
        end_offset=end,
        until_ns=until_ns,
        cold=cold,
        consistent=at_head
        or seen.digests.get(end) == live.get(end, "")
        or (following is not None and not cold and not comparison.differences),
        frames=seen.frames(until_ns),
    )


def _compared(before: dict[Key, Outcome], seen: "_Seen", until_ns: int) -> Comparison:
    after = {key: message for key, message in seen.found.items() if time_of(message) < until_ns}
    expected = {
        key: message
        for key, message in before.items()
        # the row of a minute comes with the next minute's first frame
        if not isinstance(message, Flow) or key in after or message.minute_ns + MINUTE_NS <= seen.last_ns
    }
    return compare(expected, after)


class _Seen:
    """What the walk says."""

    def __init__(self, from_ns: int, keep: Callable[[Result], None]) -> None:
        self._from_ns, self._keep = from_ns, keep
        self.found: dict[Key, Outcome] = {}
        self.digests: dict[int, str] = {}
        """of the state at each keyframe, by its offset"""
        self.last_ns = 0
        self._gop_ns = 0
        self._ended = False

    def take(self, message: Result) -> None:
        self._keep(message)
        self._ended = isinstance(message, EndLedger) or (self._ended and isinstance(message, Checkpoint))
        if isinstance(message, Checkpoint):
            self.digests[message.offset] = digest(message)
        elif isinstance(message, Detections | Event | Flow | AnalysisLedger):
            if isinstance(message, Detections):
                self.last_ns = max(self.last_ns, message.captured_ns)
            if isinstance(message, AnalysisLedger):
                self._gop_ns = message.captured_ns
            if time_of(message) >= self._from_ns:
                self.found[key_of(message)] = message

    def frames(self, until_ns: int) -> int:
        return sum(isinstance(message, Detections) and time_of(message) < until_ns for message in self.found.values())

    def until_ns(self, to_ns: int, at_head: bool) -> int:
        """Up to here all there is to say has been said: the log's last GOP may still be growing."""
        if at_head and not self._ended:
            return self._gop_ns
        return self.last_ns + 1 if at_head else max(to_ns, self.last_ns + 1)


def digest(checkpoint: Checkpoint) -> str:
    """SHA-256 of the state, with its version."""
    return hashlib.sha256(f"{checkpoint.state_version}\n{checkpoint.state}".encode()).hexdigest()


def _in_front(left: list[Checkpoint], offset: int) -> Checkpoint | None:
    usable = [c for c in left if c.offset <= offset and c.state_version == STATE_VERSION]
    return usable[-1] if usable else None


def _warm(bootstrap: str, span: Span) -> Span:
    """The same span, walked from earlier; from its own keyframe where the log does not reach back."""
    try:
        return locate(bootstrap, span.camera, max(0, span.from_ns - WARM_UP_SECONDS * SECOND_NS), span.to_ns)
    except LogGoneError:
        return span

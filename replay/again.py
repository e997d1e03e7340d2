"""Looking again at a span, whole: where to start, what to hold it against, when the past is consistent again."""

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import msgspec
from msgspec import Struct

from processors.chain import MEMORY_NS, STATE_VERSION
from processors.keyframe_index import KeyframeIndex
from processors.ports import Detector
from replay.compare import Comparison, compare
from replay.log import LogGoneError, PartitionLog
from replay.named import named_versions
from replay.pace import Pace
from replay.past import Key, Outcome, checkpoints, doubtful, key_of, keyframe_of, lies_in, published, shed
from replay.span import Span, locate
from replay.walk import walk
from schemas.analysis import Analysis
from schemas.messages import AnalysisLedger, Checkpoint, Detections, EndLedger, Event, Flow
from schemas.results import Result

SECOND_NS: Final = 1_000_000_000
WARM_UP_SECONDS: Final = 30
"""A start without a checkpoint begins this much earlier, so that tracks and counts are what they were: a track lives
for some seconds, a light's phase is known after one change."""


class Again(Struct, frozen=True):
    span: Span
    found: dict[Key, Outcome]
    """what looking again has found, in its order"""
    comparison: Comparison
    start_offset: int
    end_offset: int
    """everything in front of it is held against what was published: behind the span's end where its change went on"""
    cold: bool
    """no checkpoint was left in front of the span: results near its beginning depend on what was before"""
    consistent: bool
    """the state at the end is that of the live checkpoint there, or the end is that of the log"""
    met: bool
    """more than that: nothing that came or will come behind the end depends on what has changed"""
    state: str
    """the chain's in front of the end; empty where none was saved"""
    shed: tuple[int, ...]
    """keyframe offsets of the GOPs in it that were shed until now"""

    @property
    def frames(self) -> int:
        return sum(isinstance(message, Detections) for message in self.found.values())

    @property
    def until_ns(self) -> int:
        """The capture time up to which there are results."""
        times = [message.captured_ns for message in self.found.values() if isinstance(message, Detections)]
        return max(times, default=self.span.to_ns)


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
    speed: float | None = None,
    index: KeyframeIndex | None = None,
    begin: Checkpoint | None = None,
    named: Callable[[str, int], str] | None = None,
) -> Again:
    """Raises LogGoneError, LogSilentError, VersionGoneError. Publishes nothing; `keep` gets every result as it
    comes, but those that do not count.

    With `follow` and without a `change` it goes on behind `to_ns` until its state at a keyframe is that of the live
    checkpoint there: only then does nothing later depend on what has changed. GOPs that were shed, each within a
    state's memory of the one before, are one stretch and looked at as one. A `change` makes another past, which starts
    cold and ends with the span. `begin` is a state that is known to be right, at the span or in front of it. `speed`:
    no more than so many times the pace of the capture. `named`: the version of a model to ask for a frame, instead of
    the one that its results name.
    """
    with ThreadPoolExecutor(threads + 1, thread_name_prefix="replay") as pool:
        loop = asyncio.get_running_loop()
        span = await loop.run_in_executor(pool, locate, bootstrap, camera, from_ns, to_ns, index)
        left = await loop.run_in_executor(pool, checkpoints, bootstrap, span)
        log = await loop.run_in_executor(pool, PartitionLog, bootstrap, span.topic, span.partition)
        with log:
            restored = begin
            if change is None and begin is None:
                believed = await loop.run_in_executor(pool, doubtful, bootstrap, span)
                restored = _in_front(left, believed, log.low)
            walked = span
            if restored is None:
                walked = await loop.run_in_executor(pool, _warm, bootstrap, span, index)
            sheds = await loop.run_in_executor(pool, shed, bootstrap, span)
            stretch = _stretch(sheds, to_ns) if follow and change is None else -1
            live = {checkpoint.offset: digest(checkpoint) for checkpoint in left}
            # where nothing was deleted yet, a log that reaches no further back is the camera's own beginning
            beginning = log.low == 0 and walked.keyframe_ns > from_ns - WARM_UP_SECONDS * SECOND_NS
            cold = restored is None and not beginning
            counted_ns = from_ns if change is not None else walked.keyframe_ns if cold else 0
            found: dict[Key, Outcome] = {}
            digests: dict[int, str] = {}
            """of the state at each keyframe, by its offset"""
            newest: deque[Checkpoint | EndLedger] = deque(maxlen=4)
            """each keyframe's checkpoint comes twice: at the log's end these are of the last one and of the end"""

            def counts(message: Outcome) -> bool:
                whole = not isinstance(message, Flow) or message.minute_ns >= counted_ns
                return whole and lies_in(message, span)

            def take(message: Result) -> None:
                if isinstance(message, Detections | Event | Flow | AnalysisLedger):
                    if not counts(message):
                        return
                    found[key_of(message)] = message
                elif isinstance(message, Checkpoint | EndLedger):
                    newest.append(message)
                    if isinstance(message, Checkpoint):
                        digests[message.offset] = digest(message)
                keep(message)

            async def compared(until_offset: int) -> Comparison:
                before = await loop.run_in_executor(pool, published, bootstrap, span, until_offset)
                return compare({k: m for k, m in before.items() if counts(m)}, _until(found, until_offset))

            def met(offset: int) -> bool:
                return offset in live and digests.get(offset) == live[offset]

            async def same(offset: int) -> bool:
                """The same state in front and the same results: the same state behind."""
                return begin is None and not cold and not (await compared(offset)).differences

            async def goes_on(offset: int) -> bool:
                # never ahead of the live worker: what it says later of the same frames, with another state, would stand
                # beside what is found here
                if live and offset >= max(live):
                    return False
                if offset <= stretch:
                    return True
                if offset in live:
                    return not met(offset)
                return not await same(offset)

            following = goes_on if follow and change is None else None
            pace = Pace(speed, from_ns) if speed is not None else None
            start = restored.offset if restored is not None else walked.keyframe_offset
            if named is None:
                named = await loop.run_in_executor(pool, named_versions, bootstrap, log, camera, start)
            end = await walk(log, walked, detector, pool, take, restored, change, following, pace, named)
            comparison = await compared(end)
            gone = bool(newest) and isinstance(newest[-1], EndLedger)
            quiet = following is not None and end not in live and await same(end)
    return Again(
        span=span,
        found=_until(found, end),
        comparison=comparison,
        start_offset=start,
        end_offset=end,
        cold=cold,
        consistent=end == log.high
        or log.high in digests
        or digests.get(end) == live.get(end, "")
        or (following is not None and not cold and not comparison.differences),
        met=met(end) or gone or quiet,
        state=next((m.state for m in newest if isinstance(m, Checkpoint) and m.offset == end), ""),
        shed=tuple(offset for offset in sheds if offset < end),
    )


def _stretch(sheds: Mapping[int, int], to_ns: int) -> int:
    """Offset of the last GOP of the stretch that begins at a span which ends at `to_ns`."""
    last, last_ns = -1, to_ns
    for offset, captured_ns in sheds.items():
        if captured_ns - last_ns > MEMORY_NS:
            break
        last, last_ns = offset, captured_ns
    return last


def _until(found: dict[Key, Outcome], offset: int) -> dict[Key, Outcome]:
    return {key: message for key, message in found.items() if keyframe_of(message) < offset}


def digest(checkpoint: Checkpoint) -> str:
    """SHA-256 of the state, with its version."""
    return hashlib.sha256(f"{checkpoint.state_version}\n{checkpoint.state}".encode()).hexdigest()


def _in_front(left: list[Checkpoint], offset: int, low: int) -> Checkpoint | None:
    """The last that this version can read and whose records are still there. How often a worker was killed behind it
    is nothing to whoever looks again."""
    usable = [c for c in left if low <= c.offset <= offset and c.state_version == STATE_VERSION]
    return msgspec.structs.replace(usable[-1], resumes=0) if usable else None


def _warm(bootstrap: str, span: Span, index: KeyframeIndex | None) -> Span:
    """The same span, walked from earlier; from its own keyframe where the log does not reach back."""
    try:
        earlier_ns = max(0, span.from_ns - WARM_UP_SECONDS * SECOND_NS)
        return locate(bootstrap, span.camera, earlier_ns, span.to_ns, index)
    except LogGoneError:
        return span

"""What a worker has left out because it could not keep up, looked at again; and what came of that behind it."""

import asyncio

import msgspec

from processors.chain import STATE_VERSION
from processors.ports import Detector
from replay.again import Again, look_again
from replay.compare import revisions
from replay.log import LogGoneError
from replay.named import VersionGoneError
from replay.past import checkpoints, published
from replay.publish import publish, publish_failure
from replay.span import Span, span_at, span_behind
from schemas.messages import SHED, AnalysisLedger, Checkpoint, FailedWindow
from schemas.results import Result
from schemas.topics import LEDGER


async def backfill(bootstrap: str, detector: Detector, window: FailedWindow, threads: int = 2) -> FailedWindow | None:
    """None when somebody else has seen to it. Otherwise the window with the offset up to which all is now as if nothing
    had been shed. With a reason something is left, and that is published already: while the live state behind still
    differs, the right one in front of that offset.

    Raises LogSilentError, PublishError: then it has to be called again.
    """
    kept: list[FailedWindow] = []

    def keep(message: Result) -> None:
        if isinstance(message, FailedWindow):
            kept.append(message)

    try:
        span = await asyncio.to_thread(_span, bootstrap, window)
        if isinstance(span, int):
            return await _publish_left(bootstrap, msgspec.structs.replace(window, last_offset=span))
        entry = await asyncio.to_thread(_entry, bootstrap, span)
        if entry is None or not await asyncio.to_thread(_behind_it, bootstrap, span):
            return await _publish_left(bootstrap, _later(window, "the live worker has not done with it yet"))
        if window.attempt == 0 and entry.revision > 0 and not entry.shed:
            # the look at an earlier window has gone on through this one
            return None
        again = await look_again(
            bootstrap, detector, window.camera, span.from_ns, span.to_ns,
            keep=keep, threads=threads, begin=_begin(window),
        )  # fmt: skip
    except LogGoneError as error:
        lost = msgspec.structs.replace(window, attempt=window.attempt + 1, reason=f"{SHED}{error}", given_up=True)
        return await _publish_left(bootstrap, lost)
    except VersionGoneError as error:
        # as it was, for when it is served again
        waiting = msgspec.structs.replace(window, attempt=window.attempt + 1, reason=f"{SHED}{error}")
        return await _publish_left(bootstrap, waiting)
    for failure in kept:
        # damage that nobody saw: what is shed is not decoded
        if failure.keyframe_offset in again.shed:
            await asyncio.to_thread(publish_failure, bootstrap, failure)
    if again.met:
        left = msgspec.structs.replace(window, last_offset=again.end_offset, state="", reason="")
        # how far the live checkpoints differed: later replays ask
        met = msgspec.structs.replace(left, attempt=window.attempt + 1, reason=f"{SHED}done", given_up=True)
        await _publish_left(bootstrap, met)
    else:
        # first: the revisions make the window look done
        left = await _publish_left(bootstrap, behind(window, again))
    await asyncio.to_thread(publish, bootstrap, revisions(again.comparison))
    return left


def _span(bootstrap: str, window: FailedWindow) -> Span | int:
    """Where to go on; an offset where nothing has come of the camera up to there."""
    if window.last_offset == window.keyframe_offset:
        return span_at(bootstrap, window.camera, window.topic, window.partition, window.keyframe_offset)
    return span_behind(bootstrap, window.camera, window.topic, window.partition, window.last_offset)


def behind(window: FailedWindow, again: Again) -> FailedWindow:
    """What is left while the live worker goes on with a state that has not seen what `again` has."""
    left = _later(window, "the live state behind it is not met yet")
    if not again.state:
        return left
    return msgspec.structs.replace(left, last_offset=again.end_offset, state=again.state, state_version=STATE_VERSION)


def told(window: FailedWindow) -> bool:
    """Whether it is what `backfill` has returned, and published in the order that it needs."""
    return window.shed and (not window.reason or window.reason.startswith(SHED))


def _begin(window: FailedWindow) -> Checkpoint | None:
    if not window.state or window.state_version != STATE_VERSION:
        return None
    return Checkpoint(
        camera=window.camera,
        topic=window.topic,
        partition=window.partition,
        offset=window.last_offset,
        state_version=window.state_version,
        state=window.state,
        ledger={},
    )


def _later(window: FailedWindow, why: str) -> FailedWindow:
    """The same once more, after a pause."""
    return msgspec.structs.replace(window, attempt=window.attempt + 1, reason=f"{SHED}{why}", shed=True)


def _entry(bootstrap: str, span: Span) -> AnalysisLedger | None:
    """The newest of the span's GOP: none before the live worker has done with it."""
    for entry in published(bootstrap, span, span.keyframe_offset + 1, (LEDGER.name,)).values():
        if isinstance(entry, AnalysisLedger) and entry.keyframe_offset == span.keyframe_offset:
            return entry
    return None


def _behind_it(bootstrap: str, span: Span) -> bool:
    """Whoever takes the camera over begins behind the span's GOP: what was published of it is the live worker's last
    word. Without a checkpoint the camera has ended."""
    left = checkpoints(bootstrap, span)
    return not left or max(checkpoint.offset for checkpoint in left) > span.keyframe_offset


async def _publish_left(bootstrap: str, window: FailedWindow) -> FailedWindow:
    await asyncio.to_thread(publish_failure, bootstrap, window)
    return window

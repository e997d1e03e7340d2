"""One window, tried again."""

import asyncio
from typing import Final

import msgspec

from processors.ports import Detector
from replay.again import look_again
from replay.backfill import backfill, behind
from replay.compare import revisions
from replay.log import LogGoneError
from replay.named import VersionGoneError
from replay.past import published
from replay.publish import publish, publish_failure
from replay.span import Span, span_at
from schemas.messages import AnalysisLedger, FailedWindow
from schemas.results import Result
from schemas.topics import LEDGER

MAX_ATTEMPTS: Final = 3
PAUSE_SECONDS: Final = (2.0, 15.0, 60.0)
"""before each attempt, counted from the failure before it"""


async def try_again(bootstrap: str, detector: Detector, window: FailedWindow, threads: int = 2) -> FailedWindow | None:
    """None when it succeeds: what is different is then published, to where the past is consistent again, or as far as
    there is a past; then what comes behind is a window to be filled in like those that are shed. Otherwise the
    failure of this attempt, given up if it is the last or if no attempt can ever succeed. Of a shed window, what
    `backfill` says.

    Raises LogSilentError, PublishError: the attempt then does not count.
    """
    if window.shed:
        return await backfill(bootstrap, detector, window, threads)
    try:
        span = await asyncio.to_thread(open_span, bootstrap, window)
        if span is None:
            return None
        kept: list[FailedWindow] = []

        def keep(message: Result) -> None:
            if isinstance(message, FailedWindow) and message.keyframe_offset == window.keyframe_offset:
                kept.append(message)

        again = await look_again(
            bootstrap, detector, window.camera, span.from_ns, span.to_ns, keep=keep, threads=threads
        )
    except LogGoneError as error:
        return gone(window, error)
    except VersionGoneError as error:
        return failed(window, str(error))
    if kept:
        return failed(msgspec.structs.replace(kept[-1], attempt=window.attempt), kept[-1].reason)
    if not again.met:
        # all that the live worker says behind it lacks what was seen in it; first: the revisions make it look repaired
        unseen = msgspec.structs.replace(window, last_offset=window.keyframe_offset)
        await asyncio.to_thread(publish_failure, bootstrap, behind(unseen, again))
    await asyncio.to_thread(publish, bootstrap, revisions(again.comparison))
    return None


def open_span(bootstrap: str, window: FailedWindow) -> Span | None:
    """The window's GOP; None when it is repaired already. Blocks. Raises LogGoneError, LogSilentError."""
    span = span_at(bootstrap, window.camera, window.topic, window.partition, window.keyframe_offset)
    return None if _done(bootstrap, window, span) else span


def failed(window: FailedWindow, reason: str) -> FailedWindow:
    """The failure of the attempt behind this one; the last is given up."""
    attempt = window.attempt + 1
    return msgspec.structs.replace(window, attempt=attempt, reason=reason, given_up=attempt >= MAX_ATTEMPTS)


def gone(window: FailedWindow, error: LogGoneError) -> FailedWindow:
    """No attempt can ever succeed."""
    return msgspec.structs.replace(window, attempt=window.attempt + 1, reason=str(error), given_up=True)


def _done(bootstrap: str, window: FailedWindow, span: Span) -> bool:
    """The repair of an earlier window has gone on through this one, or another process was quicker."""
    return any(
        isinstance(entry, AnalysisLedger)
        and entry.keyframe_offset == window.keyframe_offset
        and entry.revision > 0
        and entry.failed == 0
        for entry in published(bootstrap, span, span.keyframe_offset + 1, (LEDGER.name,)).values()
    )


def due_ms(window: FailedWindow, stamped_ms: int) -> int:
    """When the next attempt is to be made, for a failure published at `stamped_ms`."""
    return stamped_ms + round(PAUSE_SECONDS[min(window.attempt, len(PAUSE_SECONDS) - 1)] * 1000)

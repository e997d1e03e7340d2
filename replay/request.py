"""One replay or backtest that somebody wants, carried out: from the request to what is published and reported."""

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import msgspec

from processors.errors import WindowFailedError
from processors.keyframe_index import KeyframeIndex
from processors.ports import Detector
from replay.again import Again, look_again
from replay.compare import revisions
from replay.past import Outcome, keyframe_of
from replay.publish import Sender, publish
from runtime.config import Settings
from schemas.analysis import changed, check_changes
from schemas.messages import AnalysisLedger, Detections, Event, Flow, ReplayRequest
from schemas.results import Result, rfc3339
from schemas.topics import is_free


async def carry_out(
    settings: Settings,
    detector: Detector,
    request: ReplayRequest,
    keep: Callable[[Result], None] = lambda _: None,
    index: KeyframeIndex | None = None,
) -> tuple[Again, int]:
    """What was found, and how many results were published. Raises LogGoneError, LogSilentError, PublishError, and
    ValueError or msgspec.ValidationError for what cannot be asked for.

    Into a topic of its own results go as they come out, in their order; revisions at the end, all or none.
    """
    if request.to_ns <= request.from_ns:
        raise ValueError("the end is not after the beginning")
    if request.into and not is_free(request.into):
        raise ValueError(f"{request.into!r} is no name for a topic of replayed results")
    if request.kind == "backtest" and request.into:
        raise ValueError("a backtest publishes nothing")
    check_changes(request.changes)
    if "model" in request.changes:
        # with a model that nobody serves all windows would fail, and the whole past be taken back
        try:
            await detector.contract(request.changes["model"])
        except WindowFailedError as error:
            raise ValueError(str(error)) from error
    stream = None
    if request.into:
        stream = _Stream(await asyncio.to_thread(Sender, settings.kafka, request.into, settings.replication_factor))

    def take(message: Result) -> None:
        keep(message)
        if stream is not None and isinstance(message, Detections | Event | Flow | AnalysisLedger):
            stream.take(message)

    change = functools.partial(changed, changes=request.changes) if request.changes else None
    again = await look_again(
        settings.kafka,
        detector,
        request.camera,
        request.from_ns,
        request.to_ns,
        change,
        take,
        settings.decode_threads,
        follow=stream is None,
        speed=request.speed,
        index=index,
    )
    if stream is not None:
        return again, await asyncio.to_thread(stream.finish, again.end_offset)
    cold = again.cold and not request.changes and not request.even_cold
    if request.kind == "backtest" or cold:
        # cold: tracks older than the warm-up have other names now, which is no reason to revise anything
        return again, 0
    publishing = asyncio.create_task(asyncio.to_thread(publish, settings.kafka, revisions(again.comparison)))
    # half of the revisions would be neither the old past nor the new one
    return again, await asyncio.shield(publishing)


class _Stream:
    """Results as they come. A GOP's ledger entry waits for the next one's: the last GOP may still be growing."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._last: AnalysisLedger | None = None

    def take(self, message: Outcome) -> None:
        following: Outcome | None = message
        if isinstance(message, AnalysisLedger):
            following, self._last = self._last, message
        if following is not None:
            self._sender.send(following)

    def finish(self, end_offset: int) -> int:
        if self._last is not None and keyframe_of(self._last) < end_offset:
            self._sender.send(self._last)
        self._sender.flush()
        return self._sender.sent


def report(again: Again, published: int | None = None) -> dict[str, Any]:
    """What programs are told."""
    found: dict[str, Any] = {
        "camera": again.span.camera,
        "from": rfc3339(again.span.from_ns),
        "to": rfc3339(again.until_ns),
        "frames": again.frames,
        "cold": again.cold,
        "consistent": again.consistent,
        "counts": again.comparison.counts(),
        "events": [
            msgspec.to_builtins({"change": difference.change, "before": difference.before, "after": difference.after})
            for difference in again.comparison.differences
            if difference.key.kind == "Event"
        ],
    }
    return found if published is None else {**found, "published": published}

"""One requested replay, in a process of its own: `python -m replay.errand` (replay/child.py).

It says once a second how far it is, as a ReplayState, and at last what has come of it.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any, Final

import msgspec
from msgspec import Struct

from processors.keyframe_index import KeyframeIndex
from processors.triton import TritonDetector
from replay import child
from replay.log import LogGoneError, LogSilentError
from replay.publish import TIMEOUT_SECONDS, PublishError
from replay.request import carry_out, report
from replay.shadow import asked_for
from runtime.logging import logger
from schemas.messages import Detections, ReplayRequest, ReplayState
from schemas.results import Result
from schemas.topics import MAX_RESULT_BYTES

COMMAND: Final = child.command("replay.errand")
_TELL_SECONDS: Final = 1.0
_PATIENCE_SECONDS: Final = TIMEOUT_SECONDS + 5.0
"""half of its revisions would be neither the old past nor the new one: it may end publishing them"""
_REPORT_BYTES: Final = MAX_RESULT_BYTES // 2
_log = logger("errand")


class Errand(child.ChildTask, frozen=True):
    request: ReplayRequest


class Said(Struct, frozen=True):
    state: ReplayState | None = None
    silent: str = ""
    """Kafka did not answer, or did not take everything: it has to be begun again"""


async def run(task: Errand, command: Sequence[str] = COMMAND) -> AsyncGenerator[ReplayState]:
    """How far it is, and at last what has come of it. Raises LogSilentError: it has to be begun again."""
    try:
        async with aclosing(child.said(command, task, _PATIENCE_SECONDS)) as lines:
            async for line in lines:
                told = msgspec.json.decode(line, type=Said)
                if told.silent:
                    raise LogSilentError(told.silent)
                if told.state is not None:
                    yield told.state
    except child.ChildDiedError as error:
        yield ReplayState(task.request.id, "failed", reason=f"the replay {error}")


def main() -> None:
    child.serve(Errand, "replay", _work)


async def _work(task: Errand, say: Callable[[Struct], None]) -> None:
    progress = _Progress(task.request)
    telling = asyncio.create_task(_keep_telling(progress, say))
    try:
        said = await _carried_out(task, progress)
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
    say(said)


async def _carried_out(task: Errand, progress: "_Progress") -> Said:
    around, request = task.around, task.request
    detector, index = TritonDetector(around.triton, around.triton_shared_memory), KeyframeIndex(around.redis)
    try:
        if request.kind == "shadow":
            seen = await asked_for(around.settings(), detector, request, progress.take, index)
            frames, found = seen.frames, msgspec.to_builtins(seen)
        else:
            again, published = await carry_out(around.settings(), detector, request, progress.take, index)
            frames, found = again.frames, _short(report(again, published))
        return Said(msgspec.structs.replace(progress.state(), state="done", frames=frames, report=found))
    except (LogSilentError, PublishError) as error:
        return Said(silent=str(error))
    except (LogGoneError, ValueError, msgspec.ValidationError) as error:
        return Said(ReplayState(request.id, "failed", reason=str(error)))
    except Exception as error:
        _log.exception("replay broken", replay=request.id)
        return Said(ReplayState(request.id, "failed", reason=f"the replay failed: {error!r}"))
    finally:
        index.close()
        await detector.stop()


async def _keep_telling(progress: "_Progress", say: Callable[[Struct], None]) -> None:
    told = None
    while True:
        if (state := progress.state()) != told:
            say(Said(state))
            told = state
        await asyncio.sleep(_TELL_SECONDS)


class _Progress:
    """In the shadow the same stretch is looked at twice, one after the other: each is a half."""

    def __init__(self, request: ReplayRequest) -> None:
        self._request = request
        self._looks, self._done = 2 if request.kind == "shadow" else 1, 0
        self._until_ns, self._frames = request.from_ns, 0

    def take(self, message: Result) -> None:
        if isinstance(message, Detections) and message.captured_ns >= self._request.from_ns:
            self._frames += 1
            from_ns = self._request.from_ns
            if self._done + 1 < self._looks and message.captured_ns - from_ns < (self._until_ns - from_ns) / 2:
                self._done, self._until_ns = self._done + 1, message.captured_ns
            self._until_ns = max(self._until_ns, message.captured_ns)

    def state(self) -> ReplayState:
        looked_ns = self._until_ns - self._request.from_ns
        looked_ns += self._done * (self._request.to_ns - self._request.from_ns)
        seconds = looked_ns / self._looks / 1e9
        return ReplayState(self._request.id, "running", round(seconds, 3), self._frames)


def _short(found: dict[str, Any]) -> dict[str, Any]:
    """What fits into a record: the last events are left out, and counted."""
    events = found["events"]
    kept, size = 0, 0
    for event in events:
        size += len(msgspec.json.encode(event))
        if size > _REPORT_BYTES:
            break
        kept += 1
    return found if kept == len(events) else {**found, "events": events[:kept], "events_left_out": len(events) - kept}


if __name__ == "__main__":
    main()

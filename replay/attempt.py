"""One attempt at a failed window, in a process of its own: `python -m replay.attempt` (replay/child.py)."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from processors.triton import TritonDetector
from replay import child
from replay.log import LogGoneError, LogSilentError
from replay.publish import PublishError
from replay.window import failed, gone, open_span, try_again
from schemas.messages import FailedWindow

COMMAND: Final = child.command("replay.attempt")


class Attempt(child.ChildTask, frozen=True):
    window: FailedWindow


class Answer(Struct, frozen=True):
    failure: FailedWindow | None = None
    """null: repaired"""
    silent: str = ""
    """Kafka did not answer, or did not take everything: the attempt does not count"""


async def attempt(task: Attempt, command: Sequence[str] = COMMAND) -> FailedWindow | None:
    """As `try_again`, and a process that was killed or crashed is a failure too. Raises LogSilentError.

    What needs no decoder is asked here: most windows are repaired by the attempt at one before.
    """
    try:
        if not task.window.shed and await asyncio.to_thread(open_span, task.around.kafka, task.window) is None:
            return None
    except LogGoneError as error:
        return gone(task.window, error)
    try:
        lines = [line async for line in child.said(command, task)]
    except child.ChildDiedError as error:
        return failed(task.window, f"the attempt {error}")
    if not lines:
        return failed(task.window, "the attempt ended without a word")
    answer = msgspec.json.decode(lines[-1], type=Answer)
    if answer.silent:
        raise LogSilentError(answer.silent)
    return answer.failure


def main() -> None:
    child.serve(Attempt, "attempt", _work)


async def _work(task: Attempt, say: Callable[[Struct], None]) -> None:
    around = task.around
    detector = TritonDetector(around.triton, around.triton_shared_memory)
    try:
        say(Answer(await try_again(around.kafka, detector, task.window, around.decode_threads)))
    except (LogSilentError, PublishError) as error:
        say(Answer(silent=str(error)))
    finally:
        await detector.stop()


if __name__ == "__main__":
    main()

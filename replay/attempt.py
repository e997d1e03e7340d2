"""One attempt at a failed window, in a process of its own: a GOP that kills takes nobody along.

`python -m replay.attempt` reads an Attempt as a line of JSON from stdin and writes an Answer as JSON to stdout. It ends
when stdin does: whoever asked is gone.
"""

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from processors.triton import TritonDetector
from replay.log import LogGoneError, LogSilentError
from replay.publish import PublishError
from replay.window import failed, gone, open_span, try_again
from runtime.logging import configure
from schemas.messages import FailedWindow

COMMAND: Final = (sys.executable, "-m", "replay.attempt")


_NICE: Final = 10
"""live video goes first"""


class Attempt(Struct, frozen=True):
    window: FailedWindow
    kafka: str
    triton: str
    triton_shared_memory: bool
    threads: int
    log_level: str = "info"
    log_json: bool = True


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
        if not task.window.shed and await asyncio.to_thread(open_span, task.kafka, task.window) is None:
            return None
    except LogGoneError as error:
        return gone(task.window, error)
    # not in this process's group: a signal for the group is for this process, which ends the other
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        with contextlib.suppress(ConnectionError):
            process.stdin.write(msgspec.json.encode(task) + b"\n")
            await process.stdin.drain()
        said = await process.stdout.read()
        status = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        process.stdin.close()
    if status != 0:
        return failed(task.window, _ended(status))
    answer = msgspec.json.decode(said, type=Answer)
    if answer.silent:
        raise LogSilentError(answer.silent)
    return answer.failure


def _ended(status: int) -> str:
    if status >= 0:
        return f"the attempt ended with status {status}"
    return f"the attempt was killed by {signal.Signals(-status).name}"


def main() -> None:
    task = msgspec.json.decode(sys.stdin.buffer.readline(), type=Attempt)
    threading.Thread(target=_end_with_stdin, name="parent", daemon=True).start()
    configure(task.log_level, task.log_json, role="attempt")
    os.nice(_NICE)
    answer = asyncio.run(_answer(task))
    sys.stdout.buffer.write(msgspec.json.encode(answer))


async def _answer(task: Attempt) -> Answer:
    detector = TritonDetector(task.triton, task.triton_shared_memory)
    try:
        return Answer(await try_again(task.kafka, detector, task.window, task.threads))
    except (LogSilentError, PublishError) as error:
        return Answer(silent=str(error))
    finally:
        await detector.stop()


def _end_with_stdin() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()

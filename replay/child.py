"""Work in a process of its own: a GOP that kills takes nobody along.

A child reads its task as one line of JSON from stdin and writes lines of JSON to stdout. It ends when stdin does:
whoever asked is gone. SIGTERM asks it to end in good order.
"""

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from runtime.config import Settings
from runtime.logging import configure

_LONGEST_LINE: Final = 16 * 1024 * 1024
_PATIENCE_SECONDS: Final = 5.0
"""for whoever is asked to end"""

Task = TypeVar("Task", bound="ChildTask")


class ChildDiedError(Exception):
    """It was killed, or crashed; the message says how."""


class Surroundings(Struct, frozen=True):
    """What of its parent's settings a child needs."""

    kafka: str
    triton: str
    triton_shared_memory: bool = True
    redis: str = ""
    decode_threads: int = 2
    replication_factor: int = 1
    replay_nice: int = 10
    log_level: str = "info"
    log_json: bool = True

    @classmethod
    def of(cls, settings: Settings) -> "Surroundings":
        return cls(**{name: getattr(settings, name) for name in cls.__struct_fields__})

    def settings(self) -> Settings:
        return Settings(**msgspec.structs.asdict(self))


class ChildTask(Struct, frozen=True):
    around: Surroundings


def command(module: str) -> tuple[str, ...]:
    return sys.executable, "-m", module


async def said(
    command: Sequence[str], task: ChildTask, patience_seconds: float = _PATIENCE_SECONDS
) -> AsyncGenerator[bytes]:
    """The child's lines, as they come. Raises ChildDiedError. Whoever closes this early asks the child to end, and
    kills it when that takes longer than the patience."""
    # not in this process's group: a signal for the group is for this process, which ends the other
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
        limit=_LONGEST_LINE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        with contextlib.suppress(ConnectionError):
            process.stdin.write(msgspec.json.encode(task) + b"\n")
            await process.stdin.drain()
        async for line in process.stdout:
            yield line
        status = await process.wait()
    finally:
        await _end(process, patience_seconds)
        process.stdin.close()
    if status > 0:
        raise ChildDiedError(f"ended with status {status}")
    if status < 0:
        raise ChildDiedError(f"was killed by {signal.Signals(-status).name}")


async def _end(process: asyncio.subprocess.Process, patience_seconds: float) -> None:
    with contextlib.suppress(ProcessLookupError):
        if process.returncode is None:
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), patience_seconds)
        except TimeoutError:
            process.kill()
            await process.wait()


def serve(kind: type[Task], role: str, work: Callable[[Task, Callable[[Struct], None]], Awaitable[None]]) -> None:
    """A child's main. `work(task, say)` is cancelled by SIGTERM; what it has in threads is waited for."""
    task = msgspec.json.decode(sys.stdin.buffer.readline(), type=kind)
    threading.Thread(target=_end_with_stdin, name="parent", daemon=True).start()
    configure(task.around.log_level, task.around.log_json, role=role)
    os.nice(task.around.replay_nice)
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_cancellable(work(task, _say)))


async def _cancellable(work: Awaitable[None]) -> None:
    running = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    await running


def _say(message: Struct) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(message) + b"\n")
    sys.stdout.buffer.flush()


def _end_with_stdin() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)

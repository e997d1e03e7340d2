"""Processes that work for the replayer: what they say arrives, however they end is told, and none stays behind."""

import asyncio
import os
import sys
from contextlib import aclosing
from pathlib import Path

import pytest

from replay import child

TASK = child.ChildTask(child.Surroundings("127.0.0.1:1", "127.0.0.1:1"))


def python(code: str) -> tuple[str, ...]:
    return sys.executable, "-c", f"import os, signal, sys, time\ntask = sys.stdin.readline()\n{code}"


async def heard(code: str) -> list[bytes]:
    return [line async for line in child.said(python(code), TASK)]


async def test_the_task_goes_in_and_lines_come_out() -> None:
    lines = await heard("print(len(task)); print('x' * 2_000_000)")
    assert int(lines[0]) > len(TASK.around.kafka)
    assert len(lines[1]) == 2_000_001


@pytest.mark.parametrize(
    ("code", "how"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "was killed by SIGSEGV"),
        ("sys.exit(3)", "ended with status 3"),
        ("raise ValueError", "ended with status 1"),
    ],
)
async def test_how_it_ended_is_told(code: str, how: str) -> None:
    with pytest.raises(child.ChildDiedError, match=how):
        await heard(f"print('so far', flush=True)\n{code}")


async def test_one_that_is_not_wanted_any_more_may_finish_what_it_is_at(tmp_path: Path) -> None:
    done = tmp_path / "done"
    code = (
        f"signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.3), open({str(done)!r}, 'w'), sys.exit()))\n"
        "print('ready', flush=True)\ntime.sleep(60)"
    )
    async with aclosing(child.said(python(code), TASK)) as lines:
        assert await anext(lines) == b"ready\n"
    assert done.exists()


async def test_what_is_being_published_is_published(tmp_path: Path) -> None:
    """Of a real child, whose work goes on in a thread behind a shield, as a replay's revisions do."""
    done = tmp_path / "done"
    code = (
        "import asyncio, pathlib, time\nfrom replay import child\n"
        f"def publish():\n    time.sleep(1)\n    pathlib.Path({str(done)!r}).touch()\n"
        "async def work(task, say):\n"
        "    publishing = asyncio.create_task(asyncio.to_thread(publish))\n"
        "    await asyncio.sleep(0.1)\n    say(task)\n    await asyncio.shield(publishing)\n"
        "child.serve(child.ChildTask, 'test', work)\n"
    )
    async with aclosing(child.said((sys.executable, "-c", code), TASK)) as lines:
        await anext(lines)
        assert not done.exists()
    assert done.exists()


async def test_one_that_does_not_end_is_ended() -> None:
    code = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint(os.getpid(), flush=True)\ntime.sleep(60)"
    async with aclosing(child.said(python(code), TASK, patience_seconds=0.3)) as lines:
        pid = int(await anext(lines))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_cancelled_while_it_waits_it_ends_too() -> None:
    async def wait() -> None:
        async for line in child.said(python("print(os.getpid(), flush=True)\ntime.sleep(60)"), TASK):
            pids.append(int(line))
            begun.set()

    pids: list[int] = []
    begun = asyncio.Event()
    waiting = asyncio.create_task(wait())
    await begun.wait()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


async def test_its_settings_are_its_parents() -> None:
    around = child.Surroundings("127.0.0.1:1", "127.0.0.1:2", redis="", replay_nice=3, decode_threads=5)
    settings = around.settings()
    assert (settings.kafka, settings.triton, settings.replay_nice, settings.decode_threads) == (
        "127.0.0.1:1", "127.0.0.1:2", 3, 5,
    )  # fmt: skip
    assert child.Surroundings.of(settings) == around

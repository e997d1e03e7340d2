"""Runs one command so that nothing of it outlives the process that asked for it.

Used as a script: `python -I -S launcher.py PARENT_PID STATUS_FD GRACE_SECONDS REMOVE_GLOB -- COMMAND…`
(an empty REMOVE_GLOB removes nothing). Standard library only, because it is one process per server.

- A handle on the parent (pidfd) tells of its death whatever the way, `kill -9` included. The usual
  `PR_SET_PDEATHSIG` alone would not do: it fires when the *thread* that started the child ends.
- As child subreaper it inherits the command's orphans (Triton's stubs), so it can end them too.
- The command itself dies with the launcher (`PR_SET_PDEATHSIG`), should someone kill that one.
- The command has its own session and process group: Ctrl-C in a terminal reaches the parent only,
  which then stops its servers in order.

It writes the command's pid to STATUS_FD, passes SIGTERM and SIGINT on, kills after the grace time, and exits
with the command's exit code (128 + signal number where a signal ended it).
"""

import contextlib
import ctypes
import glob
import os
import select
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def prctl(option: int, value: int) -> None:
    """Linux prctl(2). Raises OSError."""
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def spawn(command: Sequence[str]) -> int:
    """Fork and execute in a process group of its own; dies with this process. Returns the pid."""
    launcher = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setpgid(0, 0)
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != launcher:  # it died before the line above
            os._exit(1)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # ignored by Python, and that would be inherited
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.execvp(command[0], list(command))  # noqa: S606 - no shell is the point
    except OSError as error:
        os.write(2, f"cannot execute {command[0]}: {error.strerror}\n".encode())
    os._exit(127)


def children() -> list[int]:
    """Pids of this process's children, zombies included."""
    me, found = os.getpid(), []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError, IndexError, ValueError):
            # the second field, in parentheses, may contain anything: split behind its last bracket
            stat = Path("/proc", entry.name, "stat").read_bytes().rpartition(b")")[2].split()
            if int(stat[1]) == me:
                found.append(int(entry.name))
    return found


def end_descendants() -> None:
    """Kill and reap until no child is left; orphans arrive here as their parents die."""
    while pids := children():
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, 0)


def main(argv: Sequence[str]) -> int:
    """Returns the exit code."""
    parent, status, grace, remove = int(argv[0]), int(argv[1]), float(argv[2]), argv[3]
    command = argv[5:]
    waited = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, waited)
    wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    for number in waited:
        signal.signal(number, lambda *_: None)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    try:
        parent_handle = os.pidfd_open(parent)
    except ProcessLookupError:
        return 1
    if os.getppid() != parent:
        return 1

    child = spawn(command)
    os.write(status, f"{child}\n".encode())
    os.close(status)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, waited)

    poll = select.poll()
    poll.register(wake_read, select.POLLIN)
    poll.register(parent_handle, select.POLLIN)
    deadline, code = float("inf"), None
    while code is None:
        wait = None if deadline == float("inf") else max(0.0, deadline - time.monotonic()) * 1000
        ready = {fd for fd, _ in poll.poll(wait)}
        wanted: set[int] = set()
        if wake_read in ready:
            wanted = set(os.read(wake_read, 512)) & {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
        if parent_handle in ready:
            poll.unregister(parent_handle)
            wanted.add(signal.SIGTERM)
            grace = min(grace, 3.0)
        for wish in wanted:
            os.kill(child, wish)
            os.kill(child, signal.SIGCONT)  # a stopped process takes no other signal
            deadline = min(deadline, time.monotonic() + grace)
        if time.monotonic() >= deadline:
            os.kill(child, signal.SIGKILL)
            deadline = float("inf")
        # Reaps whatever ended, orphans included. `child` stays a zombie until here: its pid can't be reused.
        with contextlib.suppress(ChildProcessError):
            while code is None:
                pid, state = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    break
                if pid == child:
                    code = os.waitstatus_to_exitcode(state)
    end_descendants()
    if remove:
        for leftover in glob.glob(remove):
            with contextlib.suppress(OSError):
                os.unlink(leftover)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

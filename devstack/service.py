"""One server as a plain process: start, readiness by real use, stop, and the ways to hurt it in a test."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self

import psutil

_LAUNCHER = Path(__file__).with_name("launcher.py")


class ServiceError(RuntimeError):
    """A server is missing, did not start, or did not become ready; the message ends with its last log lines."""


class Service:
    """Base class: a subclass says what to run (`command`), before that what to write (`prepare`), and how to tell
    that it serves (`probe`). Files go to `<directory>/<name>/`, output to `<directory>/logs/<name>.log`.
    """

    #: what `command` starts besides its first word
    programs: ClassVar[tuple[str, ...]] = ()
    #: how to get a missing program, for the error message
    hint: ClassVar[str] = ""
    #: seconds until a start counts as failed
    timeout: float = 60.0
    #: seconds between SIGTERM and SIGKILL
    grace: float = 10.0

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.data = directory / name
        self.log = directory / "logs" / f"{name}.log"
        self.pid: int | None = None
        self.started_at = 0.0
        self._launcher: subprocess.Popen[bytes] | None = None

    # -- for subclasses -------------------------------------------------------------------------------------

    def command(self) -> Sequence[str]:
        """The program and its arguments."""
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        """Variables added to this process's own."""
        return {}

    def prepare(self) -> None:
        """Write configuration; the folder `data` exists. Called before every start, restarts too."""

    def probe(self) -> None:
        """Use the server once; any exception means that it isn't ready yet."""

    def leftovers(self) -> str:
        """A glob of files outside `data` that are removed once the server has ended."""
        return ""

    @property
    def address(self) -> str:
        """What a person would type to reach it."""
        return ""

    # -- life -----------------------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        return self._launcher is not None and self._launcher.poll() is None

    @property
    def returncode(self) -> int | None:
        """Exit code of the last run (128 + signal number where a signal ended it); None while it runs."""
        return None if self._launcher is None else self._launcher.poll()

    @property
    def process(self) -> psutil.Process:
        """Handle on the server itself. Raises ServiceError when it doesn't run."""
        if self.pid is None or not self.running:
            raise ServiceError(f"{self.name} is not running")
        return psutil.Process(self.pid)

    def start(self) -> None:
        """Start the process; `wait_ready` tells when it serves. Raises ServiceError."""
        if self.running:
            raise ServiceError(f"{self.name} runs already")
        self.data.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.prepare()
        command = [str(part) for part in self.command()]
        environment = {**os.environ, **self.environment()}
        for name in (command[0], *self.programs):
            if shutil.which(name, path=environment.get("PATH")) is None:
                raise ServiceError(f"{self.name}: {name} is not installed{self.hint and f'; {self.hint}'}")
        status_read, status_write = os.pipe()
        launcher = [sys.executable, "-I", "-S", str(_LAUNCHER)]
        watch = [str(os.getpid()), str(status_write), str(self.grace), self.leftovers(), "--"]
        try:
            with self.log.open("ab") as log:
                self._launcher = subprocess.Popen(
                    [*launcher, *watch, *command],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.data, env=environment,
                    pass_fds=(status_write,), start_new_session=True,
                )  # fmt: skip
        except BaseException:
            os.close(status_read)
            raise
        finally:
            os.close(status_write)
        with os.fdopen(status_read) as status:
            line = status.readline()
        if not line:
            raise ServiceError(f"{self.name}: could not be launched{self.last_words()}")
        self.pid, self.started_at = int(line), time.monotonic()

    def raise_if_ended(self) -> None:
        """Raises ServiceError with the exit code and the log's end if it doesn't run."""
        if not self.running:
            raise ServiceError(f"{self.name} ended with code {self.returncode}{self.last_words()}")

    def wait_ready(self, timeout: float | None = None, others: Iterable["Service"] = ()) -> Self:
        """Probe until it serves. Raises ServiceError when it or one of `others` ends or the time (s) is over."""
        limit = self.timeout if timeout is None else timeout
        deadline = time.monotonic() + limit
        pause = 0.05
        while True:
            self.raise_if_ended()
            for other in others:
                other.raise_if_ended()
            try:
                self.probe()
            except Exception as error:
                if time.monotonic() > deadline:
                    raise ServiceError(
                        f"{self.name} not ready after {limit:g} s: {error}{self.last_words()}"
                    ) from error
            else:
                return self
            time.sleep(pause)
            pause = min(pause * 1.5, 0.5)

    def begin_stop(self) -> None:
        """Ask it to end, without waiting; nothing happens when it doesn't run."""
        if self._launcher is not None and self._launcher.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self._launcher.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """End it and all it started: SIGTERM, after `grace` seconds SIGKILL. Harmless when it doesn't run."""
        if self._launcher is None:
            return
        self.begin_stop()
        try:
            self._launcher.wait(self.grace + 5.0)
        except subprocess.TimeoutExpired:  # the launcher itself hangs (somebody stopped it)
            self._launcher.kill()
            self._launcher.wait()
        self._sweep()

    def kill(self) -> None:
        """`kill -9` the server as a crash would, and wait until it is gone."""
        self.process.kill()
        assert self._launcher is not None
        self._launcher.wait(10.0)
        self._sweep()

    def _sweep(self) -> None:
        """Should the launcher have been killed, it could not end the server's children: their group is left."""
        if self.pid is not None and self._launcher is not None and (self._launcher.returncode or 0) < 0:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        self.pid = None

    def restart(self, timeout: float | None = None) -> Self:
        """Stop if running, start on the same ports and data, wait until ready."""
        self.stop()
        self.start()
        return self.wait_ready(timeout)

    def pause(self) -> None:
        """SIGSTOP the server and its children, and wait for it: it stays connected and answers nothing."""
        process = self.process
        for each in (process, *process.children(recursive=True)):
            each.suspend()
        while process.status() != psutil.STATUS_STOPPED:
            time.sleep(0.01)

    def resume(self) -> None:
        """Undo `pause`."""
        process = self.process
        for each in (*process.children(recursive=True), process):
            each.resume()

    def last_words(self, lines: int = 12) -> str:
        """The log's last lines, indented, for error messages."""
        try:
            with self.log.open("rb") as log:
                log.seek(0, os.SEEK_END)
                log.seek(max(0, log.tell() - 8192))
                tail = log.read().decode(errors="replace").splitlines()[-lines:]
        except OSError:
            tail = []
        text = "".join(f"\n    {line}" for line in tail) or " (nothing logged)"
        return f"\n  {self.log}:{text}"

"""Runs a stack in the background: starts it, restarts what ends, tells its state, stops it on SIGTERM.

`python -m devstack.supervisor SPEC.json`; `rewatch up` starts it so. SIGUSR1 makes it check every service by real
use and write the result into the state file.
"""

import contextlib
import fcntl
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import msgspec
import psutil

from devstack.service import Service, ServiceError
from devstack.stack import DEFAULT_SERVICES, Stack
from devstack.state import FILE, ServiceState, StackState, write_state

#: starts what belongs to the stack beyond its servers
Compose = Callable[[Stack], None]
_LONGEST_PAUSE = 30.0
_STEADY = 60.0


class StackSpec(msgspec.Struct, frozen=True):
    """What to run; see Stack for the fields."""

    directory: str
    cache: str
    services: tuple[str, ...] = DEFAULT_SERVICES
    model_repository: str = ""
    models: tuple[str, ...] = ()
    brokers: int = 1
    ports: dict[str, int] = {}

    def stack(self) -> Stack:
        repository = Path(self.model_repository) if self.model_repository else None
        return Stack(
            Path(self.directory),
            self.services,
            repository,
            self.models,
            self.brokers,
            self.ports,
            cache=Path(self.cache),
            lasting=True,
        )


class _Stopped(BaseException):
    """SIGTERM or SIGINT; no Exception, so that nothing on the way takes it for a failure."""


class Supervisor:
    """One stack, from start to stop."""

    def __init__(self, spec: StackSpec, compose: Compose | None) -> None:
        self._spec, self._compose = spec, compose
        self._stack = spec.stack()
        self._wake, self._check, self._checks = threading.Event(), False, 0
        self._starting = True
        self._stop = False
        self._restarts: dict[str, int] = {}
        self._results: dict[str, str | None] = {}
        self._pauses: dict[str, tuple[float, float]] = {}

    def run(self) -> None:
        """Until told to stop. Raises ServiceError when the start fails."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGUSR1, self._on_check)
        self._tell("starting")
        try:
            with contextlib.suppress(_Stopped), self._stack as stack:
                if self._compose is not None:
                    self._compose(stack)
                self._results = dict.fromkeys(stack.services)
                self._starting = False
                self._tell("ready")
                while not self._stop:
                    self._step()
                self._tell("stopping")
        except BaseException as error:
            self._tell("failed", str(error) or type(error).__name__)
            raise

    def _on_stop(self, *_: object) -> None:
        self._stop = True
        self._wake.set()
        if self._starting:  # no loop to notice it yet
            self._starting = False
            raise _Stopped

    def _on_check(self, *_: object) -> None:
        self._check = True
        self._wake.set()

    def _step(self) -> None:
        self._wake.wait(0.5)
        self._wake.clear()
        ended = [service for service in self._stack.services.values() if not service.running]
        for service in ended:
            self._revive(service)
        if self._check and not self._stop:
            self._check = False
            self._probe_all()
        elif not ended:
            return
        self._tell("ready")

    def _revive(self, service: Service) -> None:
        """Start again, at once after steady service, otherwise after a pause that doubles."""
        now = time.monotonic()
        due, pause = self._pauses.get(service.name, (0.0, 0.0))
        if due == 0.0:
            pause = 0.0 if now - service.started_at > _STEADY else min(max(2 * pause, 0.5), _LONGEST_PAUSE)
            due = now + pause
            print(f"{service.name} ended with code {service.returncode}, restart in {pause:g} s", flush=True)
        if now < due:
            self._pauses[service.name] = (due, pause)
            return
        self._pauses[service.name] = (0.0, pause)
        self._restarts[service.name] = self._restarts.get(service.name, 0) + 1
        self._results.pop(service.name, None)  # unknown until it is checked again
        try:
            service.stop()
            service.start()
        except (OSError, ServiceError) as error:
            print(error, flush=True)

    def _probe_all(self) -> None:
        def probe(service: Service) -> str | None:
            if not service.running:
                return f"ended with code {service.returncode}"
            try:
                service.probe()
            except Exception as error:
                return str(error) or type(error).__name__
            return None

        services = list(self._stack.services.values())
        with ThreadPoolExecutor(len(services) or 1) as pool:
            results = pool.map(probe, services)
            self._results = {service.name: result for service, result in zip(services, results, strict=True)}
        self._checks += 1

    def _tell(self, phase: str, error: str = "") -> None:
        services = tuple(
            ServiceState(
                name,
                service.pid if service.running else None,
                service.address,
                str(service.log),
                service.running and self._results[name] is None if name in self._results else None,
                self._results.get(name) or "",
                self._restarts.get(name, 0),
            )
            for name, service in self._stack.services.items()
        )
        own, created = os.getpid(), psutil.Process().create_time()
        addresses = self._stack.addresses
        state = StackState(own, created, phase, self._spec.directory, addresses, services, self._checks, error)
        write_state(state)


class _DirectoryLock:
    """One supervisor per folder, as long as it lives."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "lock"

    def __enter__(self) -> Self:
        self._handle = self._file.open("a")
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._handle.close()
            raise ServiceError(f"a stack runs in {self._file.parent} already") from None
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.close()


def main(argv: Sequence[str], compose: Compose | None = None) -> int:
    """Returns the exit code; why a start failed is in the state file and on stderr."""
    spec = msgspec.json.decode(Path(argv[0]).read_bytes(), type=StackSpec)
    directory = Path(spec.directory)
    try:
        with _DirectoryLock(directory):
            Supervisor(spec, compose).run()
    except ServiceError as error:
        print(error, file=sys.stderr)
        return 1
    (directory / FILE).unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

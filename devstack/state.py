"""What a running stack tells other processes: a file in its folder, readable by its owner only."""

import os
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec
import psutil

from devstack.addresses import Addresses

FILE = "stack.json"


class ServiceState(msgspec.Struct, frozen=True):
    """`ready` is of the last check; None: not checked yet. `restarts` counts since the stack's start."""

    name: str
    pid: int | None
    address: str
    log: str
    ready: bool | None = None
    detail: str = ""
    restarts: int = 0


class StackState(msgspec.Struct, frozen=True):
    """`phase`: starting, ready, stopping, failed; `checks` counts readiness checks; `error` is of a failed start."""

    pid: int
    created: float
    phase: str
    directory: str
    addresses: Addresses = Addresses()
    services: tuple[ServiceState, ...] = ()
    checks: int = 0
    error: str = ""

    @property
    def alive(self) -> bool:
        """Whether the supervisor that wrote this still runs; its start time guards against a reused pid."""
        try:
            process = psutil.Process(self.pid)
            return process.create_time() == self.created and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False


def write_state(state: StackState) -> None:
    """Replace the file in one step."""
    file = Path(state.directory, FILE)
    draft = file.with_suffix(".new")
    with open(os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as handle:
        handle.write(msgspec.json.format(msgspec.json.encode(state)))
    os.replace(draft, file)


def read_state(directory: Path) -> StackState | None:
    """The stack of this folder; None where none runs (a file left by a killed one doesn't count)."""
    try:
        state = msgspec.json.decode((directory / FILE).read_bytes(), type=StackState)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return state if state.alive or state.phase == "failed" else None


def usage(pid: int | None) -> Mapping[str, float]:
    """`rss_bytes` and `cpu_s` of a process with its children, and its `uptime_s`; zeros when it has ended."""
    total = {"rss_bytes": 0.0, "cpu_s": 0.0, "uptime_s": 0.0}
    if pid is None:
        return total
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        total["uptime_s"] = time.time() - process.create_time()
    except psutil.Error:
        return total
    for member in family:
        try:
            times = member.cpu_times()
            total["rss_bytes"] += member.memory_info().rss
            total["cpu_s"] += times.user + times.system
        except psutil.Error:
            continue
    return total

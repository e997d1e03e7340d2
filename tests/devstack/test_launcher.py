"""Nothing survives whoever started it, whatever way that one ends."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from devstack.process import Process
from devstack.service import ServiceError
from tests.devstack.waiting import gone, until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

# A server that ignores SIGTERM, with a child in a session of its own and a grandchild orphaned on purpose.
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
orphan = subprocess.run(["sh", "-c", "sleep 1001 >/dev/null 2>&1 & echo $!"], stdout=subprocess.PIPE, text=True).stdout
open("pids.new", "w").write(f"{os.getpid()} {child.pid} {orphan}")
os.rename("pids.new", "pids")
time.sleep(1000)
"""

PARENT = """
import sys, time
from pathlib import Path
from devstack.process import Process
Process("stubborn", [sys.executable, "-c", sys.argv[2]], Path(sys.argv[1])).start()
time.sleep(1000)
"""


def pids_in(folder: Path) -> list[int]:
    file = folder / "stubborn" / "pids"
    assert until(file.exists)
    return [int(pid) for pid in file.read_text().split()]


def stubborn(folder: Path) -> Process:
    service = Process("stubborn", [sys.executable, "-c", STUBBORN], folder)
    service.grace = 0.5
    return service


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_parent_killed(tmp_path: Path, orphans: list[int], how: signal.Signals) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path), STUBBORN])
    orphans += [parent.pid, *pids_in(tmp_path)]
    launchers = [process.pid for process in psutil.Process(parent.pid).children()]
    assert len(launchers) == 1
    parent.send_signal(how)
    parent.wait()
    assert until(lambda: all(gone(pid) for pid in [*orphans, *launchers]))


def test_stop_ends_what_ignores_sigterm_and_all_it_started(tmp_path: Path, orphans: list[int]) -> None:
    service = stubborn(tmp_path)
    service.start()
    orphans += pids_in(tmp_path)
    assert service.pid == orphans[0]
    service.stop()
    assert service.returncode == 128 + signal.SIGKILL
    assert all(gone(pid) for pid in orphans)


def test_a_crash_takes_its_children_along(tmp_path: Path, orphans: list[int]) -> None:
    service = stubborn(tmp_path)
    service.start()
    orphans += pids_in(tmp_path)
    service.kill()
    assert not service.running
    assert all(gone(pid) for pid in orphans)


def test_the_launcher_itself_killed(tmp_path: Path, orphans: list[int]) -> None:
    service = Process("sleeper", ["sh", "-c", "sleep 1000 & wait"], tmp_path)
    service.start()
    assert until(lambda: bool(service.process.children()))
    orphans += [service.process.pid, *(child.pid for child in service.process.children())]
    launcher = service.process.parent()
    assert launcher is not None
    launcher.kill()
    service.stop()
    assert until(lambda: all(gone(pid) for pid in orphans))


def test_a_paused_server_can_be_stopped(tmp_path: Path) -> None:
    service = Process("sleeper", ["sleep", "1000"], tmp_path)
    service.start()
    service.pause()
    assert service.process.status() == psutil.STATUS_STOPPED
    started = time.monotonic()
    service.stop()
    assert time.monotonic() - started < service.grace
    assert service.returncode == 128 + signal.SIGTERM


def test_exit_code_and_last_words(tmp_path: Path) -> None:
    service = Process("wrong", ["sh", "-c", "echo the disk is full; exit 3"], tmp_path)
    service.start()
    assert until(lambda: not service.running)
    with pytest.raises(ServiceError, match=r"(?s)wrong ended with code 3.*the disk is full"):
        service.wait_ready()
    assert service.returncode == 3


def test_missing_program(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="no-such-program is not installed"):
        Process("missing", ["no-such-program"], tmp_path).start()


def test_leftovers_outside_are_removed(tmp_path: Path) -> None:
    class Littering(Process):
        def leftovers(self) -> str:
            return f"{tmp_path}/litter-*"

    (tmp_path / "litter-1").touch()
    (tmp_path / "kept").touch()
    service = Littering("littering", ["sleep", "1000"], tmp_path)
    service.start()
    service.stop()
    assert not (tmp_path / "litter-1").exists()
    assert (tmp_path / "kept").exists()


def test_signals_are_not_ignored_by_what_is_launched(tmp_path: Path) -> None:
    """Python ignores SIGPIPE and blocks signals here; servers must not inherit that."""
    service = Process("status", ["sh", "-c", "grep -E 'SigBlk|SigIgn' /proc/self/status"], tmp_path)
    service.start()
    assert until(lambda: not service.running)
    masks = {line.split()[0]: int(line.split()[1], 16) for line in service.log.read_text().splitlines()}
    assert masks["SigBlk:"] == 0
    assert not masks["SigIgn:"] & (1 << (signal.SIGPIPE - 1))

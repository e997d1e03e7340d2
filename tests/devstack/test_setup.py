"""Set-up and examination of the machine."""

import os
import subprocess
from pathlib import Path

import pytest

from devstack import debian, doctor
from devstack.cache import cache_directory, is_installed
from devstack.debian import Need, PackageError
from devstack.setup import SetupError, setup

ABSENT = Need("unobtainium", ("unobtainium-bin", "unobtainium-data"), lambda: False)
PRESENT = Need("sh", ("dash",), lambda: True)
ONLY_TESTS = Need("testium", ("testium",), lambda: False, tests=True)


def test_what_only_tests_need_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "NEEDS", (PRESENT, ABSENT, ONLY_TESTS))
    assert debian.missing(tests=False) == [ABSENT]
    assert debian.missing(tests=True) == [ABSENT, ONLY_TESTS]


def test_without_root_the_command_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "NEEDS", (PRESENT, ABSENT))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(PackageError, match=r"missing: unobtainium; run\n  sudo apt-get .* unobtainium-bin unobtain"):
        debian.install(tests=False)


def test_root_installs_once_and_starts_no_service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls, policies, installed = [], [], []
    policy = tmp_path / "policy-rc.d"

    def run(command: list[str], **_: object) -> None:
        calls.append(command)
        policies.append(policy.read_text())
        installed.extend(command if "install" in command else [])

    need = Need("thing", ("thing-server",), lambda: "thing-server" in installed)
    monkeypatch.setattr(debian, "NEEDS", (need,))
    monkeypatch.setattr(debian, "_POLICY", policy)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    assert debian.install(tests=False) == ["thing-server"]
    assert [command[-1] for command in calls] == ["update", "thing-server"]
    assert all("exit 101" in text for text in policies)
    assert not policy.exists()
    assert debian.install(tests=False) == []
    assert len(calls) == 2


def test_a_failed_part_is_named_and_the_others_are_done(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(_: Path) -> bool:
        raise subprocess.CalledProcessError(1, ["mvn"])

    monkeypatch.setattr(debian, "NEEDS", ())
    monkeypatch.setattr("devstack.setup.INSTALLERS", {"Kafka": broken, "Triton": lambda _: True})
    lines: list[str] = []
    with pytest.raises(SetupError, match=r"Kafka: Command .*mvn.* returned non-zero exit status 1"):
        setup(tmp_path, report=lines.append)
    assert lines[0] == "system packages: all there"
    assert set(lines[1:]) == {"Kafka: failed", "Triton: installed in 0 s"}


@pytest.mark.integration
@pytest.mark.timeout(60)
def test_repeated_set_up_changes_nothing() -> None:
    lines: list[str] = []
    setup(cache_directory(), report=lines.append)
    assert lines[0] == "system packages: all there"
    assert sorted(lines[1:]) == ["InfluxDB: there already", "Kafka: there already", "Triton: there already"]
    assert all(is_installed(folder) for folder in (cache_directory() / "servers").iterdir() if folder.is_dir())


@pytest.mark.integration
@pytest.mark.timeout(60)
def test_the_examination_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(debian, "NEEDS", (PRESENT, ABSENT, ONLY_TESTS))
    findings = {finding.what: finding for finding in doctor.examine(tmp_path / "cache")}
    assert findings["sh"].ok
    assert not findings["unobtainium"].ok
    assert findings["unobtainium"].fix.endswith("unobtainium-bin unobtainium-data")
    assert not findings["testium"].needed
    assert not findings["Kafka in the cache"].ok
    assert findings["Kafka in the cache"].fix == "rewatch setup"
    for name in ("Python", "Java", "shared memory", "memory", "process handles", "loopback ports", "disk for cache"):
        assert findings[name].ok, findings[name]

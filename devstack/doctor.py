"""Says what is in order on this machine and how to mend what isn't."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil

from devstack import debian
from devstack.cache import is_installed
from devstack.influxdb import install as influxdb
from devstack.kafka import install as kafka
from devstack.ports import free_port
from devstack.triton import install as triton

_GIB = 1024**3


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at; `fix` is the command or advice where `ok` is false. `needed`: nothing works without it."""

    what: str
    ok: bool
    detail: str
    fix: str = ""
    needed: bool = True


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("Python", sys.version_info >= (3, 11), version, "install Python 3.11 or later")


def _java() -> Finding:
    fix = debian.install_command(["openjdk-17-jre-headless"])
    try:
        text = subprocess.run(["java", "-version"], capture_output=True, text=True).stderr
    except FileNotFoundError:
        return Finding("Java", False, "not installed", fix)
    found = re.search(r'version "(\d+)[^"]*"', text)
    return (
        Finding("Java", bool(found) and int(found[1]) >= 17, text.partition("\n")[0], fix)
        if found
        else Finding("Java", False, text.strip(), fix)
    )


def _packages() -> Iterator[Finding]:
    for need in debian.NEEDS:
        if need.what == "java":
            continue
        detail = "for the tests only" if need.tests else ""
        present = need.present()
        fix = debian.install_command(need.packages)
        yield Finding(
            need.what, present, ("there" if present else "missing") + (detail and f", {detail}"), fix, not need.tests
        )


def _servers(cache: Path) -> Iterator[Finding]:
    folders = {
        "Kafka": kafka.jar_folder(cache),
        "Triton": triton.environment_folder(cache),
        "InfluxDB": influxdb.program(cache).parent,
    }
    for name, folder in folders.items():
        yield Finding(f"{name} in the cache", is_installed(folder), str(folder), "rewatch setup")


def _disk(cache: Path) -> Iterator[Finding]:
    places = {"cache": (cache, 4), "temporary files": (Path(tempfile.gettempdir()), 2)}
    for name, (path, least) in places.items():
        while not path.exists():
            path = path.parent
        free = shutil.disk_usage(path).free / _GIB
        writable = os.access(path, os.W_OK)
        detail = f"{free:.1f} GiB free at {path}" + ("" if writable else ", not writable")
        yield Finding(
            f"disk for {name}",
            free >= least and writable,
            detail,
            f"free {least} GiB there, or set REWATCH_CACHE or TMPDIR",
        )


def _machine() -> Iterator[Finding]:
    shared = Path("/dev/shm")  # noqa: S108 - where Linux keeps shared memory
    free = shutil.disk_usage(shared).free / 1024**2 if shared.is_dir() else 0.0
    fix = "give the container more: --shm-size=1g"
    yield Finding("shared memory", free >= 60, f"{free:.0f} MiB free", fix)
    memory = psutil.virtual_memory().available / _GIB
    yield Finding("memory", memory >= 2, f"{memory:.1f} GiB available", "close other programs: 2 GiB are needed")
    cpus = len(os.sched_getaffinity(0))
    yield Finding("processors", cpus >= 2, str(cpus), "two are the least for live video", needed=False)
    try:
        os.close(os.pidfd_open(os.getpid()))
        kernel = True
    except OSError:
        kernel = False
    yield Finding("process handles", kernel, os.uname().release, "use Linux 5.3 or later")
    try:
        yield Finding("loopback ports", True, f"e.g. {free_port()} is free")
    except OSError as error:
        yield Finding("loopback ports", False, str(error), "stop whatever holds ports 15000-32000 of 127.0.0.1")
    encoding = sys.getfilesystemencoding()
    fix = "export LC_ALL=C.UTF-8"
    yield Finding("locale", encoding == "utf-8" and sys.stdout.encoding.lower() == "utf-8", encoding, fix)


def examine(cache: Path) -> list[Finding]:
    """Everything, in the order in which it should be mended."""
    return [_python(), _java(), *_packages(), *_machine(), *_disk(cache), *_servers(cache)]

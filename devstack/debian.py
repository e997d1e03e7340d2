"""What must come from the operating system, and how Debian calls it."""

import contextlib
import ctypes.util
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

_POLICY = Path("/usr/sbin/policy-rc.d")
_PYTHON_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


class PackageError(RuntimeError):
    """System packages are missing; the message says how to get them."""


class Need(msgspec.Struct, frozen=True):
    """One thing to be had; `tests`: only the tests need it."""

    what: str
    packages: tuple[str, ...]
    present: Callable[[], bool]
    tests: bool = False


def _program(name: str) -> Callable[[], bool]:
    return lambda: shutil.which(name) is not None


def _bindings() -> bool:
    """Whether the system's Python can serve RTSP with every GStreamer element that it takes."""
    elements = "appsrc appsink parsebin h264parse h265parse rtph264pay rtph265pay qtdemux matroskademux avidemux"
    script = (
        "import sys, gi; gi.require_version('GstRtspServer', '1.0'); gi.require_version('GstApp', '1.0')\n"
        "from gi.repository import Gst, GstApp, GstRtspServer; Gst.init(None)\n"
        f"sys.exit(not all(Gst.ElementFactory.find(name) for name in {elements.split()!r}))"
    )
    with contextlib.suppress(OSError):
        return subprocess.run(["/usr/bin/python3", "-I", "-c", script], capture_output=True).returncode == 0
    return False


def _libpython() -> bool:
    name = f"libpython{_PYTHON_VERSION}.so.1.0"
    beside = Path(str(sysconfig.get_config_var("LIBDIR")), name)
    return beside.is_file() or ctypes.util.find_library(f"python{_PYTHON_VERSION}") is not None


NEEDS = (
    Need("java", ("openjdk-17-jre-headless",), _program("java")),
    Need("mvn", ("maven",), _program("mvn")),
    Need("go", ("golang-go",), lambda: shutil.which("go", path=go_path()) is not None),
    Need(f"libpython{_PYTHON_VERSION}", (f"libpython{_PYTHON_VERSION}",), _libpython),
    Need(
        "libraries of OpenCV",
        ("libgl1", "libglib2.0-0", "libxcb1"),
        lambda: all(ctypes.util.find_library(name) for name in ("GL", "glib-2.0", "gthread-2.0", "xcb")),
    ),
    Need("redis-server", ("redis-server",), _program("redis-server")),
    Need("prometheus", ("prometheus",), _program("prometheus")),
    Need(
        "GStreamer's RTSP server",
        (
            "python3-gi",
            "gir1.2-gst-rtsp-server-1.0",
            "gir1.2-gst-plugins-base-1.0",
            "gstreamer1.0-plugins-base",
            "gstreamer1.0-plugins-good",
            "gstreamer1.0-plugins-bad",
        ),
        _bindings,
    ),
    Need(
        "nginx with RTMP",
        ("nginx-light", "libnginx-mod-rtmp"),
        lambda: Path("/usr/sbin/nginx").exists() and Path("/usr/lib/nginx/modules/ngx_rtmp_module.so").exists(),
        tests=True,
    ),
    Need("ffmpeg", ("ffmpeg",), _program("ffmpeg"), tests=True),
    Need("kcat", ("kcat",), _program("kcat"), tests=True),
    Need("chromium", ("chromium",), _program("chromium"), tests=True),
)


def go_path() -> str:
    """PATH with the folder where Go's own archive installs, which few put on their PATH."""
    return f"{os.environ.get('PATH', os.defpath)}:/usr/local/go/bin"


def missing(tests: bool) -> list[Need]:
    """What isn't there."""
    return [need for need in NEEDS if (tests or not need.tests) and not need.present()]


def install_command(packages: Sequence[str]) -> str:
    """What a person would type."""
    return f"sudo apt-get update && sudo apt-get install -y --no-install-recommends {' '.join(packages)}"


@contextlib.contextmanager
def _no_services() -> Iterator[None]:
    """Keep packages from starting their servers on this machine: invoke-rc.d asks this file, 101 forbids."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink(missing_ok=True)


def install(tests: bool) -> list[str]:
    """Install what is missing, if this is Debian and we are root. Returns the packages' names.

    Raises PackageError with the command to type otherwise, or when something is missing even afterwards.
    """
    needs = missing(tests)
    packages = [package for need in needs for package in need.packages]
    if not packages:
        return []
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        names = ", ".join(need.what for need in needs)
        raise PackageError(f"missing: {names}; run\n  {install_command(packages)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    apt = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=600"]
    with _no_services():
        # a failed update (one unreachable mirror among several) may still leave lists that suffice
        subprocess.run([*apt, "update"], env=environment, stdin=subprocess.DEVNULL)
        subprocess.run(
            [*apt, "install", "-y", "--no-install-recommends", *packages],
            env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    if still := missing(tests):
        names = ", ".join(need.what for need in still)
        lacking = [package for need in still for package in need.packages]
        raise PackageError(f"could not be installed: {names}; try\n  {install_command(lacking)}")
    return packages

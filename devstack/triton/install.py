"""Triton from its wheel, in a virtual environment of its own."""

import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from devstack.cache import installed

LOCK = Path(__file__).resolve().parents[2] / "requirements" / "triton.txt"
_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def environment_folder(cache: Path) -> Path:
    """The virtual environment; the name changes with the lock file and the Python version."""
    pinned = hashlib.sha256(LOCK.read_bytes() + sys.version.encode() + sys.base_prefix.encode()).hexdigest()[:12]
    return cache / "servers" / f"triton-{pinned}"


def site_packages(environment: Path) -> Path:
    return environment / "lib" / f"python{_PYTHON}" / "site-packages"


def install(cache: Path) -> bool:
    """Create it in the cache; False if it was there. Raises CalledProcessError, FileNotFoundError."""

    def build(target: Path) -> None:
        venv.create(target, with_pip=True)
        pip = [str(target / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-input"]
        subprocess.run([*pip, "--require-hashes", "-r", str(LOCK)], check=True, stdin=subprocess.DEVNULL)
        # The Python backend expects the stub for the models' Python version beside itself.
        tritonserver = site_packages(target) / "pytriton" / "tritonserver"
        stub = tritonserver / "python_backend_stubs" / _PYTHON / "triton_python_backend_stub"
        if not stub.is_file():
            raise FileNotFoundError(f"this Triton has no Python backend for Python {_PYTHON}")
        shutil.copytree(tritonserver / "backends" / "python", target / "backends" / "python")
        shutil.copy2(stub, target / "backends" / "python")

    return installed(environment_folder(cache), build)

"""Programs that check what is deployed: composecheck, kubeconform, kustomize; built once from pinned Go modules.

`python -m tests.deploy.toolbox` builds them ahead of the tests. Wants Go 1.24 or newer.
"""

import hashlib
import os
import subprocess
from pathlib import Path

from devstack.cache import cache_directory, installed
from devstack.debian import go_path

SOURCES = Path(__file__).with_name("tools")
PROGRAMS = ("composecheck", "kubeconform", "kustomize")


def folder() -> Path:
    """Where the programs are; the name changes with the sources and the pinned versions."""
    pinned = b"".join(path.read_bytes() for path in sorted(SOURCES.iterdir()) if path.suffix in {".go", ".mod", ".sum"})
    return cache_directory() / "tools" / f"deploy-{hashlib.sha256(pinned).hexdigest()[:12]}"


def build() -> Path:
    """The folder of the programs, after building what is missing. Raises CalledProcessError, or OSError without Go."""

    def compile_into(target: Path) -> None:
        environment = {**os.environ, "PATH": go_path(), "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -buildvcs=false"}
        for output, package in ((target / "composecheck", "."), (target, "tool")):
            subprocess.run(
                ["go", "build", "-o", str(output) if package == "." else f"{output}/", package],
                cwd=SOURCES, check=True, env=environment, stdin=subprocess.DEVNULL,
            )  # fmt: skip

    installed(folder(), compile_into)
    return folder()


if __name__ == "__main__":
    print(build())

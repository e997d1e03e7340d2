"""InfluxDB 1.8 compiled from its Go module; Go's checksum database vouches for the sources."""

import os
import shutil
import subprocess
from pathlib import Path

from devstack.cache import installed
from devstack.debian import go_path

VERSION = "1.8.10"


def program(cache: Path) -> Path:
    return cache / "servers" / f"influxdb-{VERSION}" / "influxd"


def install(cache: Path) -> bool:
    """Compile into the cache (about 90 s the first time); False if it was there. Raises CalledProcessError."""

    def build(target: Path) -> None:
        environment = {**os.environ, "GOBIN": str(target), "CGO_ENABLED": "0", "GOFLAGS": "-modcacherw"}
        go = shutil.which("go", path=go_path()) or "go"
        module = f"github.com/influxdata/influxdb/cmd/influxd@v{VERSION}"
        subprocess.run([go, "install", module], check=True, env=environment, stdin=subprocess.DEVNULL)

    return installed(program(cache).parent, build)

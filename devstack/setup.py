"""Everything the servers need: system packages first, then the downloads side by side."""

import subprocess
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path

from devstack import debian
from devstack.influxdb import install as influxdb
from devstack.kafka import install as kafka
from devstack.triton import install as triton

INSTALLERS: Mapping[str, Callable[[Path], bool]] = {
    "Kafka": kafka.install,
    "Triton": triton.install,
    "InfluxDB": influxdb.install,
}


class SetupError(RuntimeError):
    """One or more parts could not be installed; the message names each with its reason."""


def setup(cache: Path, tests: bool = False, report: Callable[[str], None] = print) -> None:
    """Idempotent; `tests` adds what only the tests use. One line to `report` per step.

    Raises PackageError or SetupError. What succeeded stays and isn't done again.
    """
    packages = debian.install(tests)
    report(f"system packages: {'installed ' + ', '.join(packages) if packages else 'all there'}")
    started, failures = time.monotonic(), []
    with ThreadPoolExecutor(len(INSTALLERS)) as pool:
        running: dict[Future[bool], str] = {pool.submit(run, cache): name for name, run in INSTALLERS.items()}
        for future in as_completed(running):
            name = running[future]
            try:
                fresh = future.result()
            except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
                failures.append(f"{name}: {error}")
                report(f"{name}: failed")
            else:
                report(f"{name}: {f'installed in {time.monotonic() - started:.0f} s' if fresh else 'there already'}")
    if failures:
        raise SetupError("\n".join(failures))

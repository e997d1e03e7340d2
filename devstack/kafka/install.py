"""Apache Kafka from Maven: jars of pinned versions, held against committed checksums."""

import hashlib
import subprocess
import tempfile
from pathlib import Path

from devstack.cache import installed
from devstack.kafka.broker import cluster

_HERE = Path(__file__).parent
POM = _HERE / "pom.xml"
CHECKSUMS = _HERE / "jars.sha256"
_KEPT = b"classes, format"
"""of a broker's first start; what was installed before is installed anew"""


class ChecksumError(RuntimeError):
    """What was downloaded isn't what was pinned."""


def jar_folder(cache: Path) -> Path:
    """Where the jars are; the name changes with the pom and the checksums."""
    pinned = hashlib.sha256(POM.read_bytes() + CHECKSUMS.read_bytes() + _KEPT).hexdigest()[:12]
    return cache / "servers" / f"kafka-{pinned}"


def verify(folder: Path, checksums: str) -> None:
    """Hold every jar against `checksums` (lines of `sha256sum`); too many or too few count too.

    Raises ChecksumError.
    """
    expected = {name: digest for digest, _, name in (line.partition("  ") for line in checksums.splitlines())}
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in folder.glob("*.jar")}
    wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if wrong:
        raise ChecksumError(f"Kafka's jars differ from {CHECKSUMS.name}: {', '.join(wrong)}")


def rehearse(jars: Path) -> None:
    """Run a broker once, which proves that it starts here; keep its parsed classes and its formatted log folder. Raises
    ServiceError."""
    with tempfile.TemporaryDirectory(prefix="rewatch-") as folder:
        (broker,) = cluster(Path(folder), jars, 1)
        broker.recording, broker.grace = True, 120.0
        try:
            broker.start()
            broker.wait_ready()
            broker.keep_format()
        finally:
            broker.stop()


def install(cache: Path) -> bool:
    """Download into the cache; False if it was there. Raises CalledProcessError, ChecksumError,
    ServiceError."""

    def build(target: Path) -> None:
        subprocess.run(
            [
                "mvn", "--batch-mode", "--quiet", "--strict-checksums", "--file", str(POM),
                "dependency:copy-dependencies", f"-DoutputDirectory={target}", "-DincludeScope=runtime",
            ],
            check=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        verify(target, CHECKSUMS.read_text())
        rehearse(target)

    return installed(jar_folder(cache), build)

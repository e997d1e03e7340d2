"""`rewatch worker`: decodes, infers, tracks and judges what the cameras send."""

from processors.composition import build_worker
from processors.run import run
from runtime.config import Settings
from runtime.kafka import wait_for_broker
from runtime.logging import configure


def worker() -> None:
    """Analyse the cameras' access units until stopped. Exit status 1 after a crash."""
    settings = Settings()
    configure(settings.log_level, settings.log_json, role=f"worker-{settings.worker_topic}")
    wait_for_broker(settings.kafka)
    run(build_worker(settings))

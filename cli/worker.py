"""`rewatch worker`: decodes, infers, tracks and judges what the cameras send."""

import faust

from processors.composition import build_worker
from runtime.config import Settings
from runtime.logging import configure


def worker() -> None:
    """Analyse the cameras' access units until stopped. Exit status 1 after a crash."""
    settings = Settings()
    configure(settings.log_level, settings.log_json, role=f"worker-{settings.worker_topic}")
    app = build_worker(settings)
    faust.Worker(app, loglevel="WARNING", redirect_stdouts=False, quiet=True).execute_from_commandline()

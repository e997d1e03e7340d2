"""`rewatch recorder`: results from Kafka into InfluxDB or the embedded store."""

import faust

from processors.recorder_process import build_recorder
from runtime.config import Settings
from runtime.logging import configure


def recorder() -> None:
    """Record all results until stopped. Exit status 1 after a crash."""
    settings = Settings()
    configure(settings.log_level, settings.log_json, role="recorder")
    faust.Worker(build_recorder(settings), loglevel="WARNING", redirect_stdouts=False).execute_from_commandline()

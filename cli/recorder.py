"""`rewatch recorder`: results from Kafka into InfluxDB or the embedded store."""

from processors.recorder_process import build_recorder
from processors.run import run
from runtime.config import Settings
from runtime.kafka import wait_for_broker
from runtime.logging import configure


def recorder() -> None:
    """Record all results until stopped. Exit status 1 after a crash."""
    settings = Settings()
    configure(settings.log_level, settings.log_json, role="recorder")
    wait_for_broker(settings.kafka)
    run(build_recorder(settings))

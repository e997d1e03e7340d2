"""Which system a command talks to: what the environment names, else what `rewatch up` runs here, else the defaults."""

from pathlib import Path
from typing import Any

from cli.stack import running_stack
from runtime.config import Settings


def reached() -> Settings:
    settings = Settings()
    stack = running_stack()
    if stack is None:
        return settings
    found = {
        "kafka": stack.addresses.kafka_bootstrap,
        "triton": stack.addresses.triton_grpc,
        "triton_http": stack.addresses.triton_http,
        "redis": stack.addresses.redis_url,
        "store": "influxdb" if stack.addresses.influx_url else "duckdb",
        "store_dir": Path(stack.directory) / "store",
        "influxdb": stack.addresses.influx_url,
        "influxdb_bucket": "rewatch",
    }
    update: dict[str, Any] = {
        name: value for name, value in found.items() if value and name not in settings.model_fields_set
    }
    return settings.model_copy(update=update)

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
    addresses = stack.addresses
    found: dict[str, Any] = {
        "kafka": addresses.kafka_bootstrap,
        "triton": addresses.triton_grpc,
        "triton_http": addresses.triton_http,
        "redis": addresses.redis_url,
    }
    if not settings.model_fields_set & {"store", "store_dir", "influxdb"}:
        found["store"] = "influxdb" if addresses.influx_url else "duckdb"
        found["store_dir"] = Path(stack.directory) / "store"
        found["influxdb"] = addresses.influx_url
    return settings.model_copy(
        update={name: value for name, value in found.items() if value and name not in settings.model_fields_set}
    )

"""Which store the settings ask for."""

from processors.store import Store
from runtime.config import Settings


def open_store(settings: Settings) -> Store:
    """Raises RetryError when DuckDB's folder can't be made; InfluxDB is not asked before the first use."""
    if settings.store == "influxdb":
        from processors.influx import InfluxStore

        return InfluxStore(
            settings.influxdb,
            settings.influxdb_token.get_secret_value(),
            settings.influxdb_org,
            settings.influxdb_bucket,
        )
    from processors.duck import DuckStore

    return DuckStore(settings.store_dir)

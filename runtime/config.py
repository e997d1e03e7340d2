"""The only reader of the environment. Frozen, read once by each process's composition root."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

_SECRETS = Path("/run/secrets")
"""where Docker puts secrets: the file rewatch_influxdb_token stands for the variable REWATCH_INFLUXDB_TOKEN"""


class Settings(BaseSettings):
    """Every field is also an environment variable with the prefix `REWATCH_`."""

    model_config = SettingsConfigDict(
        env_prefix="REWATCH_", frozen=True, extra="ignore", secrets_dir=_SECRETS if _SECRETS.is_dir() else None
    )

    kafka: str = Field("127.0.0.1:9092", description="bootstrap servers, comma-separated")
    linger_ms: int = Field(
        130, ge=0, le=1000, description="how long access units wait to travel together; results a fifth of it"
    )
    replication_factor: int = Field(1, ge=1, description="of the topics that this process creates")
    triton: str = Field("127.0.0.1:8001", description="gRPC address of Triton")
    triton_http: str = Field("http://127.0.0.1:8000", description="HTTP address of Triton; empty: models go unchecked")
    triton_shared_memory: bool = Field(True, description="inputs through system shared memory; needs the same host")
    redis: str = Field("redis://127.0.0.1:6379/0", description="cache; may be deleted at any time; empty: none")

    store: str = Field("duckdb", pattern="^(duckdb|influxdb)$", description="where the record agent writes")
    store_dir: Path = Field(Path("data"), description="DuckDB's folder of hourly Parquet files")
    influxdb: str = Field("http://127.0.0.1:8086", description="address of InfluxDB")
    influxdb_token: SecretStr = Field(SecretStr(""), description="InfluxDB 2 token, or user:password for 1.8")
    influxdb_org: str = Field("rewatch")
    influxdb_bucket: str = Field("rewatch", description="InfluxDB 2 bucket, or database/policy for 1.8")

    http_host: str = Field("127.0.0.1", description="where this process listens: metrics, health, gateway")
    http_port: int = Field(0, ge=0, le=65535, description="0: any free port")
    api_token: SecretStr = Field(SecretStr(""), description="bearer token of the gateway; empty: none wanted")
    uploads_dir: Path = Field(Path("uploads"), description="shared by gateway and ingest")
    upload_max_bytes: int = Field(2 * 1024**3, ge=1, description="an upload larger than this is refused")

    worker_topic: str = Field("frames", pattern="^(frames|frames-batch)$", description="what this worker serves")
    decode_threads: int = Field(2, ge=1, le=64, description="threads that decode, all cameras together")
    frames_in_flight: int = Field(3, ge=1, le=64, description="inferences under way at once, per camera")
    latency_budget_ms: int = Field(
        0,
        ge=0,
        description="a live worker that is slower leaves frames out for later, the least cameras first; 0: never",
    )
    replay_nice: int = Field(10, ge=0, le=19, description="niceness of looking again: live video goes first")
    ingest_group: str = Field("", description="cameras whose label `ingest` is this; empty: cameras without it")

    cache: Path = Field(Path("~/.cache/rewatch"), description="installed servers, running stacks, pulled models")

    log_level: str = Field("info", pattern="^(debug|info|warning|error)$")
    log_json: bool = Field(True, description="one JSON object a line; false: for people")

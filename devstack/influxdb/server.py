"""InfluxDB 1.8 with Flux: what influxdb-client needs to ping, write and query."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from devstack.service import Service

#: created at every start; influxdb-client writes to bucket `rewatch` with token "" and any organisation
DATABASE = "rewatch"
_PROBE = "devstack"


class InfluxDB(Service):
    timeout = 120.0

    def __init__(self, directory: Path, program: Path, port: int, rpc_port: int) -> None:
        super().__init__("influxdb", directory)
        self.port, self._rpc_port, self._program = port, rpc_port, program
        self._settings = self.data / "influxdb.conf"

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def prepare(self) -> None:
        self._settings.write_text(
            f"""reporting-disabled = true
bind-address = "127.0.0.1:{self._rpc_port}"
[meta]
  dir = "{self.data}/meta"
[data]
  dir = "{self.data}/data"
  wal-dir = "{self.data}/wal"
  index-version = "tsi1"
  query-log-enabled = false
  cache-snapshot-write-cold-duration = "1m"
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{self.port}"
  flux-enabled = true
  log-enabled = false
"""
        )

    def command(self) -> Sequence[str]:
        return [str(self._program), "run", "-config", str(self._settings)]

    def environment(self) -> Mapping[str, str]:
        # its heap is small: collected less often, a start costs a quarter less CPU
        return {"GOGC": "400"}

    def probe(self) -> None:
        """Create the database, write one point elsewhere and read it back, with InfluxQL and with Flux."""
        with httpx.Client(base_url=self.address, timeout=5, trust_env=False) as client:

            def query(text: str) -> httpx.Response:
                return client.post("/query", data={"q": text, "db": _PROBE}).raise_for_status()

            query(f'CREATE DATABASE "{DATABASE}"')
            query(f'CREATE DATABASE "{_PROBE}"')
            client.post("/write", params={"db": _PROBE}, content="ready value=1i").raise_for_status()
            if not query("SELECT value FROM ready").json()["results"][0].get("series"):
                raise ConnectionError("InfluxDB does not return the point that was written")
            flux = f'from(bucket: "{_PROBE}") |> range(start: -1h)'
            headers = {"Content-Type": "application/vnd.flux", "Accept": "application/csv"}
            if "ready" not in client.post("/api/v2/query", content=flux, headers=headers).raise_for_status().text:
                raise ConnectionError("InfluxDB does not return the point to Flux")
            query(f'DROP DATABASE "{_PROBE}"')

"""Prometheus, scraping what a stack runs."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from devstack.service import Service


class Prometheus(Service):
    hint = "apt-get install prometheus"
    timeout = 60.0

    def __init__(
        self,
        directory: Path,
        port: int,
        targets: Mapping[str, Sequence[str]] | None = None,
        rules: Sequence[Path] = (),
        interval: str = "5s",
    ) -> None:
        """`targets`: job name to `host:port` or `host:port/path`; `rules`: rule files; `interval` between scrapes."""
        super().__init__("prometheus", directory)
        self.port, self._rules, self._interval = port, [path.resolve() for path in rules], interval
        self._targets = {job: list(hosts) for job, hosts in (targets or {}).items()}
        self._settings, self._discovery = self.data / "prometheus.yml", self.data / "targets.json"

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def scrape(self, job: str, hosts: Sequence[str]) -> None:
        """Set a job's targets; a running Prometheus takes them up by itself within seconds."""
        self._targets[job] = list(hosts)
        if self.data.is_dir():
            self._write_targets()

    def _write_targets(self) -> None:
        groups = []
        for job, hosts in self._targets.items():
            for host in hosts:
                target, _, path = host.partition("/")
                labels = {"job": job, "__metrics_path__": f"/{path or 'metrics'}"}
                groups.append({"targets": [target], "labels": labels})
        draft = self._discovery.with_suffix(".new")
        draft.write_text(json.dumps(groups))
        os.replace(draft, self._discovery)

    def prepare(self) -> None:
        self._write_targets()
        settings = {
            "global": {"scrape_interval": self._interval, "evaluation_interval": self._interval},
            "rule_files": [str(path) for path in self._rules],
            "scrape_configs": [{"job_name": "rewatch", "file_sd_configs": [{"files": [str(self._discovery)]}]}],
        }
        self._settings.write_text(json.dumps(settings))  # JSON is YAML too

    def command(self) -> Sequence[str]:
        return [
            "prometheus",
            f"--config.file={self._settings}",
            f"--storage.tsdb.path={self.data / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--storage.tsdb.retention.time=2d",
            "--log.level=warn",
        ]

    def probe(self) -> None:
        """A query."""
        with httpx.Client(base_url=self.address, timeout=5, trust_env=False) as client:
            answer = client.get("/api/v1/query", params={"query": "vector(42)"}).raise_for_status().json()
            if answer["data"]["result"][0]["value"][1] != "42":
                raise ConnectionError(f"Prometheus answers {answer}")

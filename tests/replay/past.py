"""A camera's past, and the commands that look at it again."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from devstack.stack import Stack
from processors.triton import TritonDetector
from replay.again import Again, look_again
from replay.past import Key, Outcome, published
from replay.span import locate
from tests.replay.camera_log import SECOND_NS

ROOT = Path(__file__).resolve().parents[2]
CAMERA, SECOND = "again", "beside"
SECONDS = 30


class Past(msgspec.Struct):
    """A camera's log that a worker has analysed, up to its last GOP."""

    stack: Stack
    begin_ns: int
    camera: str = CAMERA

    @property
    def bootstrap(self) -> str:
        return self.stack.addresses.kafka_bootstrap

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "REWATCH_KAFKA": self.bootstrap,
            "REWATCH_TRITON": self.stack.addresses.triton_grpc,
        }

    def again(self, start: float, end: float, **more: Any) -> Again:
        """Seconds since the beginning."""

        async def look() -> Again:
            detector = TritonDetector(self.stack.addresses.triton_grpc, True)
            try:
                return await look_again(
                    self.bootstrap,
                    detector,
                    self.camera,
                    self.begin_ns + round(start * SECOND_NS),
                    self.begin_ns + round(end * SECOND_NS),
                    **more,
                )
            finally:
                await detector.stop()

        return asyncio.run(look())

    def newest(self) -> dict[Key, Outcome]:
        span = locate(self.bootstrap, self.camera, self.begin_ns, self.begin_ns + SECONDS * SECOND_NS)
        return published(self.bootstrap, span, 2**63)

    def rewatch(self, *words: str) -> tuple[int, dict[str, Any]]:
        code, stdout = self.said(*words, "--json")
        answer: dict[str, Any] = json.loads(stdout)
        return code, answer

    def said(self, *words: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", *words],
            capture_output=True, text=True, check=False, cwd=ROOT, env=self.environment, timeout=120,
        )  # fmt: skip
        assert done.stdout, done.stderr
        return done.returncode, done.stdout

    def at(self, seconds: float) -> str:
        return str(self.begin_ns + round(seconds * SECOND_NS))

"""Writes to the log what ingest and the workers would write."""

import json
from collections.abc import Callable
from typing import Protocol

import msgspec

from schemas import codec
from schemas.analysis import CameraSpec
from schemas.messages import LogRecord
from schemas.results import Result, headers_of, key_of, to_json, topic_of
from schemas.topics import CAMERAS, FRAMES


class Sink(Protocol):
    def __call__(
        self, topic: str, key: bytes, value: bytes | None, headers: list[tuple[str, bytes]], timestamp_ms: int | None
    ) -> object: ...


class Writer:
    """`flush` waits until all that was written is acknowledged."""

    def __init__(self, sink: Sink, flush: Callable[[], object] = lambda: None) -> None:
        self._sink, self.flush = sink, flush

    def spec(self, spec: CameraSpec) -> None:
        self._sink(CAMERAS.name, spec.id.encode(), msgspec.json.encode(spec), [], None)

    def withdraw(self, camera: str) -> None:
        self._sink(CAMERAS.name, camera.encode(), None, [], None)

    def frame(self, record: LogRecord, topic: str = FRAMES.name) -> None:
        wire = codec.encode(record)
        self._sink(topic, wire.key, wire.value, wire.headers, wire.timestamp_ms)

    def result(self, message: Result, timing: dict[str, float] | None = None, timestamp_ms: int | None = None) -> None:
        headers = headers_of(message)
        if timing is not None:
            headers.append(("timing", json.dumps(timing).encode()))
        self._sink(topic_of(message).name, key_of(message), to_json(message), headers, timestamp_ms)

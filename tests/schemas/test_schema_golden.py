"""Bytes written by any version stay readable and keep their meaning."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas import generate
from schemas.codec import decode, encode
from schemas.examples import RECORDS, RESULTS
from schemas.messages import Box, Detections, EndLedger, Event, IngestLedger, LedgerEntry
from schemas.results import headers_of, key_of, to_json

VERSIONS = sorted((generate.HERE / "golden").iterdir())


def envelope(folder: Path, name: str) -> tuple[bytes, list[tuple[str, bytes]]]:
    content = json.loads((folder / f"{name}.headers.json").read_text())
    return content["key"].encode(), [(header, value.encode()) for header, value in content["headers"]]


def test_there_are_golden_bytes_of_everything() -> None:
    assert [folder.name for folder in VERSIONS] == ["v1"]
    assert {path.stem for path in VERSIONS[-1].glob("*.bin")} == set(RECORDS)
    values = {path.stem for path in VERSIONS[-1].glob("*.json") if not path.name.endswith(".headers.json")}
    assert values == set(RESULTS)


@pytest.mark.parametrize("folder", VERSIONS, ids=lambda folder: folder.name)
@pytest.mark.parametrize("name", sorted(RECORDS))
def test_old_frames_are_read_as_they_were_meant(folder: Path, name: str) -> None:
    key, headers = envelope(folder, name)
    assert decode(key, (folder / f"{name}.bin").read_bytes(), headers) == RECORDS[name]


@pytest.mark.parametrize("folder", VERSIONS, ids=lambda folder: folder.name)
@pytest.mark.parametrize("name", sorted(RESULTS))
def test_old_results_are_read_as_they_were_meant(folder: Path, name: str) -> None:
    value = (folder / f"{name}.json").read_bytes()
    assert msgspec.json.decode(value, type=type(RESULTS[name])) == RESULTS[name]


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_old_readers_find_in_new_frames_what_they_know(name: str) -> None:
    """A version may add headers; what was there stays, byte for byte."""
    key, headers = envelope(VERSIONS[-1], name)
    wire = encode(RECORDS[name])
    assert wire.key == key
    assert wire.value == (VERSIONS[-1] / f"{name}.bin").read_bytes()
    assert dict(wire.headers).items() >= dict(headers).items()


@pytest.mark.parametrize("name", sorted(RESULTS))
def test_old_readers_find_in_new_results_what_they_know(name: str) -> None:
    key, headers = envelope(VERSIONS[-1], name)
    assert key_of(RESULTS[name]) == key
    assert dict(headers_of(RESULTS[name])).items() >= dict(headers).items()
    _contains(json.loads(to_json(RESULTS[name])), json.loads((VERSIONS[-1] / f"{name}.json").read_bytes()))


def _contains(new: Any, old: Any) -> None:
    if isinstance(old, dict):
        for field, value in old.items():
            _contains(new[field], value)
    else:
        assert new == old
        assert type(new) is type(old)


def test_a_field_from_the_future_is_ignored() -> None:
    for name, message in RESULTS.items():
        value = {**json.loads(to_json(message)), "from_the_future": {"deep": [1]}}
        assert msgspec.json.decode(json.dumps(value), type=type(message)) == message, name
    boxes = json.loads(to_json(RESULTS["detections"]))
    boxes["boxes"][0]["colour"] = "red"
    assert msgspec.json.decode(json.dumps(boxes), type=Detections) == RESULTS["detections"]


def test_a_field_that_an_old_writer_did_not_know_takes_its_default() -> None:
    event = json.loads(to_json(RESULTS["event"]))
    del event["revision"], event["box"]["track"]
    read = msgspec.json.decode(json.dumps(event), type=Event)
    assert read.revision == 0
    assert isinstance(read.box, Box)
    assert read.box.track is None
    end = msgspec.json.decode(b'{"stage":"end","camera":"a","session":"s","published":3}', type=EndLedger)
    assert end == EndLedger("a", "s", 3, error="", captured_ns=0)


def test_a_ledger_entry_is_told_by_its_stage() -> None:
    assert isinstance(msgspec.json.decode(to_json(RESULTS["ingest-ledger"]), type=LedgerEntry), IngestLedger)
    with pytest.raises(msgspec.ValidationError, match="stage"):
        msgspec.json.decode(b'{"stage":"unknown"}', type=LedgerEntry)

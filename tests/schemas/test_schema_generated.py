"""JSON Schema and AsyncAPI: as committed, valid by themselves, and true of what is really sent."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import jsonschema
import msgspec
import pytest
import yaml

from schemas import generate, topics
from schemas.asyncapi import document, to_yaml
from schemas.codec import encode
from schemas.examples import ANALYSIS, CAMERA, RECORDS, RESULTS
from schemas.json_schema import TYPES, file_name, name_of, schema
from schemas.results import Result, headers_of, to_json

EXAMPLES = [*RESULTS.values(), CAMERA, ANALYSIS]
DOCUMENT = document()


def validator(name: str) -> Any:
    return jsonschema.Draft202012Validator(json.loads((generate.HERE / "json" / file_name(name)).read_text()))


def test_committed_files_are_what_is_generated(capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main(["--check"]) == 0, capsys.readouterr().out


def test_check_names_every_kind_of_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "HERE", tmp_path)
    monkeypatch.setattr(generate, "GOLDEN", tmp_path / "golden" / "v1")
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    (tmp_path / "json" / "event.v1.json").write_text("{}")
    (tmp_path / "json" / "old.v1.json").write_text("{}")
    (tmp_path / "asyncapi.yaml").unlink()
    golden = tmp_path / "golden" / "v1" / "flow.json"
    golden.unlink()
    capsys.readouterr()
    assert generate.main(["--check"]) == 1
    told = capsys.readouterr().out
    for line in ("event.v1.json: differs", "old.v1.json: nothing generates it", "asyncapi.yaml: missing", "flow.json"):
        assert line in told
    kept = tmp_path / "golden" / "v1" / "event.json"
    kept.write_bytes(b"as it was")
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    assert kept.read_bytes() == b"as it was", "golden bytes that exist are never written again"
    assert generate.main(["--help"]) == 2


@pytest.mark.parametrize("name", sorted(TYPES))
def test_schemas_are_valid_and_stand_alone(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(name))
    assert schema(name)["$id"].startswith(f"urn:rewatch:{name}:")
    for reference in _references(schema(name)):
        assert reference.removeprefix("#/$defs/") in schema(name)["$defs"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: name_of(example))
def test_examples_follow_their_schema(example: msgspec.Struct) -> None:
    validator(name_of(example)).validate(json.loads(msgspec.json.encode(example)))


def test_every_result_type_has_a_schema_and_an_example() -> None:
    assert {type(example) for example in RESULTS.values()} == set(get_args(Result))
    assert {name_of(example) for example in EXAMPLES} | {"ledgerentry"} == set(TYPES)


def test_schemas_refuse_what_is_wrong_and_allow_what_is_new() -> None:
    event = json.loads(to_json(RESULTS["event"]))
    events = validator("event")
    assert events.is_valid({**event, "from_the_future": 1})
    assert not events.is_valid({**event, "captured_ns": "now"})
    assert not events.is_valid({key: value for key, value in event.items() if key != "id"})
    ledger = validator("ledgerentry")
    for name in ("ingest-ledger", "analysis-ledger", "end-ledger"):
        assert ledger.is_valid(json.loads(to_json(RESULTS[name])))
    assert not ledger.is_valid(event)
    camera = json.loads(msgspec.json.encode(CAMERA))
    assert not validator("cameraspec").is_valid({**camera, "typo": 1})
    assert not validator("cameraspec").is_valid({**camera, "id": "../etc"})


def test_fields_keep_their_explanations() -> None:
    properties = schema("endledger")["properties"]
    assert "capture time" in properties["captured_ns"]["description"]


def test_the_yaml_says_the_same_as_the_document() -> None:
    assert yaml.safe_load((generate.HERE / "asyncapi.yaml").read_text()) == DOCUMENT
    odd = {"a: b": [[], {}, [1, [2]], {"x": None}], "text": "line\nbreak # no comment", "yes": "no", "deep": {"é": 1.5}}
    assert yaml.safe_load(to_yaml(odd)) == odd


def test_channels_are_the_topics() -> None:
    assert set(DOCUMENT["channels"]) == {topic.name for topic in topics.TOPICS}
    for topic in topics.TOPICS:
        channel = DOCUMENT["channels"][topic.name]
        kafka = channel["bindings"]["kafka"]
        assert channel["address"] == kafka["topic"] == topic.name
        assert kafka["partitions"] == topic.partitions
        assert kafka["topicConfiguration"].get("retention.ms") == topic.retention_ms
        assert kafka["topicConfiguration"]["cleanup.policy"] == [topic.cleanup]
        assert channel["messages"], topic.name
    assert set(DOCUMENT["channels"]["ledger"]["messages"]) == {"IngestLedger", "AnalysisLedger", "EndLedger"}
    assert set(DOCUMENT["channels"]["frames"]["messages"]) == {"AccessUnit", "Gap", "End"}
    assert set(DOCUMENT["channels"]["cameras"]["messages"]) == {"CameraSpec", "CameraRemoved"}


def test_every_reference_in_the_document_leads_somewhere() -> None:
    for reference in _references(DOCUMENT):
        if reference.startswith("#/"):
            node: Any = DOCUMENT
            for part in reference[2:].split("/"):
                node = node[part]
        else:
            assert (generate.HERE / reference).is_file()


def test_headers_on_the_wire_are_the_headers_of_the_document() -> None:
    messages = DOCUMENT["components"]["messages"]
    for record in RECORDS.values():
        described = messages[type(record).__name__]["headers"]
        sent = {name: value.decode() for name, value in encode(record).headers}
        jsonschema.Draft202012Validator(described).validate(sent)
        assert set(sent) <= set(described["properties"])
    for result in RESULTS.values():
        described = messages[type(result).__name__]["headers"]
        sent = {name: value.decode() for name, value in headers_of(result, traceparent="00-0-0-01")}
        jsonschema.Draft202012Validator(described).validate(sent)
        assert set(sent) <= set(described["properties"])
        assert sent["ce_type"].split(".")[1] in TYPES


def test_every_message_has_what_asyncapi_wants() -> None:
    for name, message in DOCUMENT["components"]["messages"].items():
        assert message["name"] == name
        assert set(message) <= {"name", "summary", "payload", "headers", "contentType", "bindings", "examples"}
        assert message["bindings"]["kafka"]["key"]["type"] == "string"
    for operation in DOCUMENT["operations"].values():
        assert operation["action"] in ("send", "receive")


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from _references(each)

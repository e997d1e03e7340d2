"""The AsyncAPI 3.0 document: every topic with its records' keys, headers and payloads, and its Kafka settings."""

import json
from typing import Any, Final

import msgspec
from msgspec import Struct

from schemas import topics
from schemas.analysis import CameraSpec
from schemas.codec import encode
from schemas.examples import CAMERA, RECORDS, RESULTS
from schemas.json_schema import VERSION, file_name, name_of
from schemas.results import Result, headers_of, topic_of
from schemas.topics import TOPICS, Topic

Node = dict[str, Any]

_KAFKA_BINDING: Final = "0.5.0"
_YAML_WORDS: Final = ("y", "n", "yes", "no", "on", "off", "true", "false", "null")
_INTEGER: Final = "^-?[0-9]{1,19}$"
_NATURAL: Final = "^[0-9]{1,19}$"

FRAME_HEADERS: Final[dict[str, tuple[str, str]]] = {
    "v": ("^1$", "version of this format"),
    "kind": ("^(au|gap|end)$", "access unit, gap or end"),
    "session": ("", "ingest session: pts and GOP numbers are comparable only within one"),
    "codec": ("^(h264|hevc)$", ""),
    "keyframe": ("^[01]$", "1 at the start of a GOP"),
    "gop": (_NATURAL, "number of the GOP in its session"),
    "index": (_NATURAL, "position in the GOP in decode order; 0 is the keyframe"),
    "pts": (_INTEGER, "presentation time in ticks of time_base"),
    "time_base": ("^[0-9]{1,19}/[0-9]{1,19}$", "seconds per tick"),
    "width": ("^[0-9]{1,5}$", "pixels"),
    "height": ("^[0-9]{1,5}$", "pixels"),
    "captured_ns": (_NATURAL, "capture time, ns since 1970"),
    "analysis": ("^\\{", f"the camera's Analysis as JSON ({file_name('analysis')}); on every keyframe"),
    "traceparent": ("", "W3C trace context"),
    "reason": ("", "why there is a hole"),
    "from_ns": (_NATURAL, "capture time of the last record before the hole"),
    "to_ns": (_NATURAL, "capture time at which the hole ends"),
    "lost": (_INTEGER, "access units known to be lost; -1 when nobody can know"),
    "published": (_NATURAL, "access units published in the session"),
    "error": ("", "why the source could not be read further; empty: a proper end"),
}
"""Header -> pattern of its value, meaning."""

RESULT_HEADERS: Final[dict[str, tuple[str, str]]] = {
    "ce_specversion": ("^1\\.0$", "CloudEvents, Kafka binding, binary mode"),
    "ce_type": (f"^rewatch\\.[a-z]+\\.v{VERSION}$", "names the schema of the value"),
    "ce_source": ("^/(cameras|processes|replays)/", "the camera; of heartbeats the process, of replays their id"),
    "ce_id": ("#[0-9]+$", "identity of the result, `#`, revision: the same when it is published again"),
    "ce_time": ("Z$", "capture time"),
    "content-type": ("^application/json$", ""),
    "traceparent": ("", "W3C trace context"),
    "timing": ("^\\{", "JSON: milliseconds by stage; differs from run to run"),
}
_KEYS: Final = {topics.HEARTBEATS.name: "process name", topics.REPLAYS.name: "replay id"}
_REQUIRED_RESULT_HEADERS: Final = ("ce_specversion", "ce_type", "ce_source", "ce_id", "content-type")


def document() -> Node:
    messages = _messages()
    channels = {topic.name: _channel(topic, messages) for topic in TOPICS}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Rewatch",
            "version": f"{VERSION}.0.0",
            "description": "Video analytics on a log that can be watched again. Results can be read by any Kafka "
            "client. Keys are camera ids, partitioned by murmur2 as Java's clients do.",
            "license": {"name": "Apache-2.0"},
        },
        "servers": {"kafka": {"host": "127.0.0.1:9092", "protocol": "kafka", "description": "setting REWATCH_KAFKA"}},
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": {
            name: {"action": action, "channel": {"$ref": f"#/channels/{topic}"}}
            for topic in channels
            for name, action in _operations(topic)
        },
        "components": {"messages": {name: body for name, (_, body) in messages.items()}},
    }


def _operations(topic: str) -> list[tuple[str, str]]:
    camel = "".join(part.capitalize() for part in topic.split("-"))
    both = [(f"send{camel}", "send"), (f"receive{camel}", "receive")]
    outward_only = topic in (topics.DETECTIONS.name, topics.EVENTS.name, topics.FLOW.name)
    return both[:1] if outward_only else both


def _channel(topic: Topic, messages: dict[str, tuple[tuple[Topic, ...], Node]]) -> Node:
    settings: Node = {"cleanup.policy": [topic.cleanup], "max.message.bytes": topic.max_message_bytes}
    if topic.retention_ms is not None:
        settings["retention.ms"] = topic.retention_ms
    return {
        "address": topic.name,
        "description": f"Holds {topic.content}.",
        "messages": {
            name: {"$ref": f"#/components/messages/{name}"} for name, (where, _) in messages.items() if topic in where
        },
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": settings,
                "bindingVersion": _KAFKA_BINDING,
            }
        },
    }


def _messages() -> dict[str, tuple[tuple[Topic, ...], Node]]:
    frames = (topics.FRAMES, topics.FRAMES_BATCH)
    made: dict[str, tuple[tuple[Topic, ...], Node]] = {}
    for example in RECORDS.values():
        headers = dict(encode(example).headers)
        kind = headers["kind"].decode()
        required = [name for name in headers if name not in ("analysis", "traceparent")]
        binary = {"type": "string", "format": "binary", "description": "Annex B, as the codec wants it"}
        nothing = {"type": "null", "description": "empty"}
        body = _message(type(example), "camera id", binary if kind == "au" else nothing)
        body["headers"] = header_schema(FRAME_HEADERS, required, [*headers, *(["analysis"] if kind == "au" else [])])
        body["contentType"] = "video/h264, video/h265" if kind == "au" else "application/octet-stream"
        made.setdefault(type(example).__name__, (frames, body))
    for result in RESULTS.values():
        key = _KEYS.get(topic_of(result).name, "camera id")
        body = _message(type(result), key, _reference(name_of(result)), result)
        body["headers"] = header_schema(RESULT_HEADERS, _REQUIRED_RESULT_HEADERS, RESULT_HEADERS)
        made.setdefault(type(result).__name__, ((topic_of(result),), body))
    made["CameraSpec"] = (topics.CAMERAS,), _message(CameraSpec, "camera id", _reference(name_of(CAMERA)), CAMERA)
    made["CameraRemoved"] = (
        (topics.CAMERAS,),
        {
            "name": "CameraRemoved",
            "summary": "A tombstone: the camera is no longer read.",
            "payload": {"type": "null"},
            "bindings": _key_binding("camera id"),
        },
    )
    return made


def _message(type_: type[Struct], key: str, payload: Node, example: Result | CameraSpec | None = None) -> Node:
    body: Node = {
        "name": type_.__name__,
        "summary": " ".join((type_.__doc__ or type_.__name__).split()),
        "payload": payload,
        "bindings": _key_binding(key),
    }
    if example is not None:
        shown: Node = {"payload": msgspec.json.decode(msgspec.json.encode(example))}
        if not isinstance(example, CameraSpec):
            shown["headers"] = {name: value.decode() for name, value in headers_of(example)}
        body["examples"] = [shown]
    return body


def _key_binding(meaning: str) -> Node:
    key = {"type": "string", "description": f"{meaning}, UTF-8"}
    return {"kafka": {"key": key, "bindingVersion": _KAFKA_BINDING}}


def _reference(name: str) -> Node:
    """A schema file beside this document; version 2020-12, which AsyncAPI's own schema object is not."""
    return {
        "schemaFormat": "application/schema+json;version=draft-2020-12",
        "schema": {"$ref": f"./json/{file_name(name)}"},
    }


def header_schema(known: dict[str, tuple[str, str]], required: Any, present: Any) -> Node:
    properties = {}
    for name in present:
        pattern, meaning = known[name]
        properties[name] = {
            "type": "string",
            **({"pattern": pattern} if pattern else {}),
            **({"description": meaning} if meaning else {}),
        }
    return {"type": "object", "properties": properties, "required": sorted(required)}


def to_yaml(node: Any, indent: int = 0) -> str:
    """Block style for mappings and lists, JSON for every scalar: a subset of YAML that needs no library."""
    pad = "  " * indent
    if isinstance(node, dict) and node:
        return "".join(f"{pad}{_key(key)}:{_below(value, indent)}" for key, value in node.items())
    if isinstance(node, list) and node:
        return "".join(f"{pad}-{_below(value, indent)}" for value in node)
    return f"{pad}{json.dumps(node, ensure_ascii=False)}\n"


def _below(value: Any, indent: int) -> str:
    if isinstance(value, dict | list) and value:
        return "\n" + to_yaml(value, indent + 1)
    return f" {json.dumps(value, ensure_ascii=False)}\n"


def _key(key: str) -> str:
    # YAML 1.1 takes some bare words for truth values or nothing
    bare = key.replace("-", "").replace("_", "").replace(".", "").isalpha() and key.isascii()
    return key if bare and key.lower() not in _YAML_WORDS else json.dumps(key, ensure_ascii=False)

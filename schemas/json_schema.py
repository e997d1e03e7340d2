"""JSON Schema (draft 2020-12) of every message whose value is JSON, from the Structs themselves."""

import ast
import functools
import inspect
import textwrap
from typing import Any, Final, get_args

import msgspec
from msgspec import Struct

from schemas.analysis import Analysis, CameraSpec
from schemas.messages import LedgerEntry
from schemas.results import Result

VERSION: Final = 1
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

TYPES: Final[dict[str, Any]] = {
    **{type_.__name__.lower(): type_ for type_ in (*get_args(Result), CameraSpec, Analysis)},
    "ledgerentry": LedgerEntry,
}
"""By the name used in `ce_type`, file names and the AsyncAPI document."""


def file_name(name: str) -> str:
    return f"{name}.v{VERSION}.json"


def schema(name: str) -> dict[str, Any]:
    """A document of its own: all that it refers to is in its `$defs`."""
    type_ = TYPES[name]
    (root,), components = msgspec.json.schema_components([type_], ref_template="#/$defs/{name}")
    described = {key: _with_field_texts(key, body) for key, body in components.items()}
    own = described.pop(type_.__name__) if isinstance(type_, type) else {"title": "LedgerEntry", **root}
    head = {"$schema": DIALECT, "$id": f"urn:rewatch:{name}:v{VERSION}", **own}
    return {**head, "$defs": dict(sorted(described.items()))} if described else head


def _with_field_texts(struct_name: str, body: dict[str, Any]) -> dict[str, Any]:
    texts = _field_texts().get(struct_name, {})
    properties = {
        field: {"description": texts[field], **described} if field in texts else described
        for field, described in body.get("properties", {}).items()
    }
    return {**body, "properties": properties}


@functools.cache
def _field_texts() -> dict[str, dict[str, str]]:
    """The strings below the fields, which Python itself throws away: Struct name -> field -> text."""
    from schemas import analysis, messages

    found: dict[str, dict[str, str]] = {}
    for module in (analysis, messages):
        for node in ast.parse(inspect.getsource(module)).body:
            if isinstance(node, ast.ClassDef):
                found[node.name] = dict(_texts_in(node))
    return found


def _texts_in(struct: ast.ClassDef) -> list[tuple[str, str]]:
    texts = []
    for field, below in zip(struct.body, struct.body[1:], strict=False):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str):
            texts.append((field.target.id, " ".join(textwrap.dedent(below.value.value).split())))
    return texts


def name_of(message: Struct) -> str:
    return type(message).__name__.lower()

"""Writes what is derived from the Structs: `python -m schemas.generate`; with `--check` only tells what differs.

JSON Schemas to `schemas/json/`, the AsyncAPI document beside them, and golden bytes of examples that have none yet:
golden bytes that exist are never written again.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from schemas.asyncapi import document, to_yaml
from schemas.codec import encode
from schemas.examples import RECORDS, RESULTS
from schemas.json_schema import TYPES, VERSION, file_name, schema
from schemas.results import headers_of, key_of, to_json

HERE = Path(__file__).parent
GOLDEN = HERE / "golden" / f"v{VERSION}"
_NOTICE = "# Made by `python -m schemas.generate`; do not edit.\n"


def generated() -> dict[Path, str]:
    """Path -> text of every generated file."""
    files = {
        HERE / "json" / file_name(name): json.dumps(schema(name), indent=2, ensure_ascii=False) + "\n" for name in TYPES
    }
    files[HERE / "asyncapi.yaml"] = _NOTICE + to_yaml(document())
    return files


def golden() -> dict[Path, bytes]:
    """Path -> bytes: each example's value as it is on the wire, and its key and headers as JSON."""
    files: dict[Path, bytes] = {}
    for name, record in RECORDS.items():
        wire = encode(record)
        files[GOLDEN / f"{name}.bin"] = wire.value
        files[GOLDEN / f"{name}.headers.json"] = _envelope(wire.key, wire.headers)
    for name, result in RESULTS.items():
        files[GOLDEN / f"{name}.json"] = to_json(result)
        files[GOLDEN / f"{name}.headers.json"] = _envelope(key_of(result), headers_of(result))
    return files


def _envelope(key: bytes, headers: Sequence[tuple[str, bytes]]) -> bytes:
    content = {"key": key.decode(), "headers": [[name, value.decode()] for name, value in headers]}
    return (json.dumps(content, indent=2) + "\n").encode()


def differences() -> list[str]:
    """What is committed but not generated, generated but not committed, or not the same."""
    wanted = generated()
    found = {*(HERE / "json").glob("*"), HERE / "asyncapi.yaml"}
    wrong = [f"{path.relative_to(HERE)}: nothing generates it" for path in sorted(found - set(wanted))]
    for path, text in wanted.items():
        if not path.is_file():
            wrong.append(f"{path.relative_to(HERE)}: missing")
        elif path.read_text() != text:
            wrong.append(f"{path.relative_to(HERE)}: differs")
    wrong += [f"{path.relative_to(HERE)}: missing" for path in golden() if not path.is_file()]
    return wrong


def main(arguments: Sequence[str]) -> int:
    if list(arguments) == ["--check"]:
        wrong = differences()
        print("\n".join([*wrong, "run: python -m schemas.generate"] if wrong else ["up to date"]))
        return 1 if wrong else 0
    if arguments:
        print("usage: python -m schemas.generate [--check]", file=sys.stderr)
        return 2
    (HERE / "json").mkdir(exist_ok=True)
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for stale in set((HERE / "json").glob("*")) - set(generated()):
        stale.unlink()
    for path, text in generated().items():
        path.write_text(text)
    for path, content in golden().items():
        if not path.is_file():
            path.write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

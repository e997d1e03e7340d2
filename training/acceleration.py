"""TensorRT for a stored model, on and off: on the disk and, where one runs, in Triton; in both or in neither."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from training.contract import ModelError, ServedModel
from training.model_repository import GRAPH, draft_of, load, locked, read_config, stored_versions
from training.model_server import TritonServer
from training.onnx_config import parsed
from training.promotion import reconfigured
from training.raw_network import read_model
from training.tensorrt import TABLE, Precision, Wish, accelerated, check_graph, options_of, plain
from training.triton_config import versions_of, with_versions

Pixels = NDArray[np.uint8]
_KEY_LETTERS = 12


class Acceleration(Struct, frozen=True):
    model: str
    live: int
    options: dict[str, str]
    """of the accelerator; empty: it is off"""
    calibrated: int
    """values in the calibration's table"""
    server: str
    """what became of it in Triton"""


def accelerate(
    repository: Path,
    name: str,
    precision: Precision,
    server: TritonServer,
    *,
    engines: str,
    seen_as: str,
    pictures: Callable[[], Pixels] | None = None,
    more: Mapping[str, str] = MappingProxyType({}),
) -> Acceleration:
    """`seen_as`: the repository as Triton sees it; `pictures`: letterboxed for the model, for int8.

    Raises ModelError for what cannot be, also when Triton refuses it, and OSError; all is then as it was.
    """
    with locked(repository):
        folder, (live, served) = repository / name, _served(repository / name)
        graph = folder / str(live) / GRAPH
        model = read_model(graph)
        check_graph(name, model)
        text = with_versions(read_config(folder), live, served)
        key = hashlib.sha256(graph.read_bytes()).hexdigest()[:_KEY_LETTERS]
        if precision != "int8":
            changed = accelerated(text, Wish(precision, engines, key, more=more), served)
            said, values = reconfigured(folder, changed, live, server), 0
        else:
            wish = Wish(precision, engines, key, f"{seen_as.rstrip('/')}/{name}/{live}/", more)
            accelerated(text, wish, served)
            content, values = _calibrated(ServedModel(load(folder).detector, model), pictures)
            table = folder / str(live) / f"{TABLE}-{hashlib.sha256(content).hexdigest()[:_KEY_LETTERS]}.flatbuffers"
            changed = accelerated(text, msgspec.structs.replace(wish, table=f"{wish.table}{table.name}"), served)
            known = table.exists()
            draft_of(table, content).replace(table)
            try:
                said = reconfigured(folder, changed, live, server)
            except BaseException:
                if not known:
                    table.unlink()
                raise
        _forget_tables(folder, changed)
    return Acceleration(name, live, options_of(parsed(changed)), values, said)


def decelerate(repository: Path, name: str, server: TritonServer) -> Acceleration:
    """Off again. Raises as `accelerate`."""
    with locked(repository):
        folder, (live, served) = repository / name, _served(repository / name)
        changed = plain(with_versions(read_config(folder), live, served))
        said = reconfigured(folder, changed, live, server)
        _forget_tables(folder, changed)
    return Acceleration(name, live, {}, 0, said)


def _calibrated(model: ServedModel, pictures: Callable[[], Pixels] | None) -> tuple[bytes, int]:
    if pictures is None:
        raise ModelError("int8 wants pictures to calibrate with")
    try:
        from training.calibration_table import calibration_table
    except ImportError as error:
        raise ModelError(f"calibrating needs the extra `train`: {error}") from None
    content, ranges = calibration_table(model, pictures())
    return content, len(ranges)


def _forget_tables(folder: Path, text: str) -> None:
    """Those that the configuration does not name."""
    named = Path(options_of(parsed(text)).get("int8_calibration_table_name", "")).name
    for table in folder.glob(f"*/{TABLE}-*.flatbuffers"):
        if table.name != named:
            table.unlink()


def _served(folder: Path) -> tuple[int, tuple[int, ...]]:
    """The live version, and all that are served. Raises ModelError."""
    text = read_config(folder)
    if parsed(text).backend != "onnxruntime":
        raise ModelError(f"{folder.name} is not served by ONNX Runtime")
    return versions_of(text, stored_versions(folder))

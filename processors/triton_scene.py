"""How Triton is asked what a scene is doing: the contract of `training/fusion/contract.py`, from the asking side."""

from typing import Any, Final

import numpy as np
import tritonclient.grpc.aio as triton
from numpy.typing import NDArray

from processors.errors import WindowFailedError
from processors.ports import MOST_KEPT_BYTES, Observation, SceneContract
from processors.triton_request import requested
from vision.memory import FLOAT

_INPUTS: Final = {"image": "UINT8", "h": "FP32", "c": "FP32"}
_OUTPUTS: Final = ("state", "next_h", "next_c")


def scene_contract(model: str, version: str, metadata: dict[str, Any], config: dict[str, Any]) -> SceneContract:
    """From what Triton tells of a model. Raises WindowFailedError when it does not follow the contract."""
    told = {item["name"]: item for item in (*metadata.get("inputs", []), *metadata.get("outputs", []))}
    wanted = _INPUTS | dict.fromkeys(_OUTPUTS, "FP32")
    if {name: item["datatype"] for name, item in told.items()} != wanted:
        raise WindowFailedError(f"model {model} is no network that looks at scenes: it takes and gives {sorted(told)}")
    shapes = {name: [int(side) for side in item["shape"]][1:] for name, item in told.items()}
    parameters = {key: value.get("string_value", "") for key, value in config.get("parameters", {}).items()}
    labels = tuple(label for label in parameters.get("labels", "").split(",") if label)
    try:
        (height, width, _), (kept,) = shapes["image"], shapes["h"]
        fps = float(parameters["fps"])
        if fps <= 0 or shapes["state"] != [len(labels)] or any(shapes[name] != [kept] for name in ("c", *_OUTPUTS[1:])):
            raise ValueError(f"{len(labels)} labels, {fps} pictures a second")
    except (KeyError, ValueError) as error:
        raise WindowFailedError(f"model {model}: shapes {shapes} and parameters do not fit: {error}") from error
    if 2 * kept * FLOAT.itemsize > MOST_KEPT_BYTES:
        raise WindowFailedError(
            f"model {model}: `h` and `c` of {kept} are more than the {MOST_KEPT_BYTES} bytes that are kept"
        )
    return SceneContract(model, version, width, height, labels, kept, fps, int(parameters.get("pad") or 114))


async def observed(
    client: triton.InferenceServerClient,
    contract: SceneContract,
    image: NDArray[np.uint8],
    h: NDArray[np.float32],
    c: NDArray[np.float32],
) -> Observation:
    """One request. Raises WindowFailedError for an answer that is none, and what the client raises."""
    values: dict[str, NDArray[Any]] = {"image": image, "h": h, "c": c}
    inputs = {name: (kind, values[name]) for name, kind in _INPUTS.items()}
    rows, version = await requested(client, contract.name, contract.version, inputs, _OUTPUTS)
    found = []
    for name, row, size in zip(_OUTPUTS, rows, (len(contract.labels), contract.state, contract.state), strict=True):
        if row is None or row.shape != (1, size) or not np.isfinite(row).all():
            raise WindowFailedError(f"model {contract.name}: `{name}` is not one row of {size} numbers")
        found.append(row[0])
    probabilities, next_h, next_c = found
    return Observation(probabilities, next_h, next_c, version)

"""How Triton is asked by detectors that take something beside the picture: a memory, by the contract of
`training/temporal/contract.py`, or flow, by that of `training/two_streams/contract.py`; from the asking side."""

import math
from typing import Any, Final

import msgspec
import numpy as np
import tritonclient.grpc.aio as triton
from numpy.typing import NDArray

from processors.errors import WindowFailedError
from processors.ports import MOST_KEPT_BYTES, Beside, Inference, ModelContract
from processors.triton_request import requested
from vision.memory import FLOAT
from vision.optical_flow import GRID, STEPS, kept_bytes

BESIDE: Final = frozenset({"memory", "flow"})
"""inputs that a detector may have"""
_NEXT: Final = "next_memory"

Told = dict[str, dict[str, Any]]
"""what Triton says of tensors, by name"""


def with_beside(contract: ModelContract, inputs: Told, outputs: Told, parameters: dict[str, str]) -> ModelContract:
    """The contract with what goes in beside the picture. Raises WindowFailedError where that does not fit."""
    if not inputs.keys() & BESIDE and _NEXT not in outputs:
        return contract
    model, rate = contract.name, _rate(contract.name, parameters)
    if "flow" in inputs:
        height, width = contract.height, contract.width
        if height % GRID or width % GRID or kept_bytes(height, width) > MOST_KEPT_BYTES:
            raise WindowFailedError(f"model {model}: no flow is kept of pictures of {width}x{height}")
        wanted = (height // GRID, width // GRID, 2 * STEPS)
        if "memory" in inputs or _tensor(inputs["flow"]) != ("INT8", wanted):
            raise WindowFailedError(f"model {model}: `flow` of {wanted} INT8 was expected, and no memory beside it")
        return msgspec.structs.replace(contract, flow=wanted, fps=rate)
    kinds = [_tensor(told[name]) if name in told else None for told, name in ((inputs, "memory"), (outputs, _NEXT))]
    if kinds[0] is None or kinds[0] != kinds[1] or kinds[0][0] != "FP32" or min(kinds[0][1], default=0) < 1:
        raise WindowFailedError(f"model {model}: `memory` and `{_NEXT}` are not FP32 of one shape: {kinds}")
    shape = kinds[0][1]
    if math.prod(shape) * FLOAT.itemsize > MOST_KEPT_BYTES:
        raise WindowFailedError(
            f"model {model}: `memory` {shape} is more than the {MOST_KEPT_BYTES} bytes that are kept"
        )
    return msgspec.structs.replace(contract, memory=shape, fps=rate)


def _tensor(told: dict[str, Any]) -> tuple[str, tuple[int, ...]]:
    """Type, and shape without the batch."""
    return str(told["datatype"]), tuple(int(side) for side in told["shape"])[1:]


def _rate(model: str, parameters: dict[str, str]) -> float | None:
    try:
        rate = float(parameters["fps"]) if "fps" in parameters else None
    except ValueError:
        rate = 0.0
    if rate is not None and not 0 < rate <= 240:
        raise WindowFailedError(f"model {model}: {parameters['fps']!r} are no pictures a second")
    return rate


async def asked(
    client: triton.InferenceServerClient, contract: ModelContract, image: NDArray[np.uint8], beside: Beside
) -> Inference:
    """One request. Raises WindowFailedError for an answer that is none, and what the client raises."""
    inputs = {
        "image": ("UINT8", image),
        **({"flow": ("INT8", beside)} if contract.flow else {"memory": ("FP32", beside)}),
    }
    outputs = ["detections", *([_NEXT] if contract.memory else [])]
    (rows, *further), version = await requested(client, contract.name, contract.version, inputs, outputs)
    if rows is None or rows.ndim != 3 or rows.shape[0] != 1 or rows.shape[2] != 6:
        shape = None if rows is None else rows.shape
        raise WindowFailedError(f"model {contract.name} answered with shape {shape}, wanted (1, k, 6)")
    if not further:
        return Inference(rows[0], version)
    kept = further[0]
    if kept is None or kept.shape != (1, *contract.memory) or not np.isfinite(kept).all():
        raise WindowFailedError(f"model {contract.name}: `{_NEXT}` is not {contract.memory} of numbers")
    return Inference(rows[0], version, kept[0])

"""How Triton is asked by detectors that take something beside the picture: a memory, by the contract of
`training/temporal/contract.py`, or flow, by that of `training/two_streams/contract.py`; from the asking side."""

from typing import Any, Final

import msgspec
import numpy as np
import tritonclient.grpc.aio as triton
from numpy.typing import NDArray

from processors.errors import WindowFailedError
from processors.in_flight import GIVE_UP_SECONDS
from processors.ports import Beside, Inference, ModelContract
from vision.optical_flow import GRID, LARGEST, STEPS

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
        if contract.height % GRID or contract.width % GRID or contract.height * contract.width > LARGEST:
            raise WindowFailedError(f"model {model}: no flow is kept of pictures of {contract.width}x{contract.height}")
        wanted = (contract.height // GRID, contract.width // GRID, 2 * STEPS)
        if "memory" in inputs or _tensor(inputs["flow"]) != ("INT8", wanted):
            raise WindowFailedError(f"model {model}: `flow` of {wanted} INT8 was expected, and no memory beside it")
        return msgspec.structs.replace(contract, flow=wanted, fps=rate)
    kinds = [_tensor(told[name]) if name in told else None for told, name in ((inputs, "memory"), (outputs, _NEXT))]
    if kinds[0] is None or kinds[0] != kinds[1] or kinds[0][0] != "FP32" or min(kinds[0][1], default=0) < 1:
        raise WindowFailedError(f"model {model}: `memory` and `{_NEXT}` are not FP32 of one shape: {kinds}")
    return msgspec.structs.replace(contract, memory=kinds[0][1], fps=rate)


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
    second = ("flow", "INT8") if contract.flow else ("memory", "FP32")
    tensors = []
    for (name, kind), value in ((("image", "UINT8"), image), (second, beside)):
        tensor = triton.InferInput(name, [1, *value.shape], kind)
        tensor.set_data_from_numpy(value[np.newaxis])
        tensors.append(tensor)
    outputs = ["detections", *([_NEXT] if contract.memory else [])]
    result = await client.infer(
        contract.name,
        tensors,
        model_version=contract.version,
        outputs=[triton.InferRequestedOutput(name) for name in outputs],
        client_timeout=GIVE_UP_SECONDS,
    )
    rows = result.as_numpy("detections")
    if rows is None or rows.ndim != 3 or rows.shape[0] != 1 or rows.shape[2] != 6:
        shape = None if rows is None else rows.shape
        raise WindowFailedError(f"model {contract.name} answered with shape {shape}, wanted (1, k, 6)")
    version = result.get_response().model_version
    if not contract.memory:
        return Inference(rows[0], version)
    kept = result.as_numpy(_NEXT)
    if kept is None or kept.shape != (1, *contract.memory) or not np.isfinite(kept).all():
        raise WindowFailedError(f"model {contract.name}: `{_NEXT}` is not {contract.memory} of numbers")
    return Inference(rows[0], version, kept[0])

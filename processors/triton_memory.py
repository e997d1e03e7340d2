"""How Triton is asked by a detector with a memory: the contract of `training/temporal/contract.py`, from the asking
side."""

from typing import Any, Final

import numpy as np
import tritonclient.grpc.aio as triton
from numpy.typing import NDArray

from processors.errors import WindowFailedError
from processors.in_flight import GIVE_UP_SECONDS
from processors.ports import Inference, ModelContract

INPUT: Final = "memory"
OUTPUT: Final = "next_memory"


def memory_shape(model: str, inputs: dict[str, dict[str, Any]], outputs: dict[str, dict[str, Any]]) -> tuple[int, ...]:
    """Of one camera, from what Triton tells of the model; empty for a detector without memory. Raises
    WindowFailedError where what it wants back is not what it gives."""
    told = [each for each in (inputs.get(INPUT), outputs.get(OUTPUT)) if each is not None]
    if not told:
        return ()
    sides = [[int(side) for side in each["shape"]] for each in told]
    same = len(told) == 2 and sides[0] == sides[1]
    if not same or {each["datatype"] for each in told} != {"FP32"} or min(sides[0][1:], default=0) < 1:
        raise WindowFailedError(f"model {model}: `{INPUT}` and `{OUTPUT}` are not FP32 of one shape: {sides}")
    return tuple(sides[0][1:])


async def asked(
    client: triton.InferenceServerClient,
    contract: ModelContract,
    image: NDArray[np.uint8],
    memory: NDArray[np.float32],
) -> Inference:
    """One request. Raises WindowFailedError for an answer that is none, and what the client raises."""
    tensors = []
    values: dict[str, tuple[str, NDArray[Any]]] = {"image": ("UINT8", image), INPUT: ("FP32", memory)}
    for name, (kind, value) in values.items():
        tensor = triton.InferInput(name, [1, *value.shape], kind)
        tensor.set_data_from_numpy(value[np.newaxis])
        tensors.append(tensor)
    result = await client.infer(
        contract.name,
        tensors,
        model_version=contract.version,
        outputs=[triton.InferRequestedOutput("detections"), triton.InferRequestedOutput(OUTPUT)],
        client_timeout=GIVE_UP_SECONDS,
    )
    rows, kept = result.as_numpy("detections"), result.as_numpy(OUTPUT)
    if rows is None or rows.ndim != 3 or rows.shape[0] != 1 or rows.shape[2] != 6:
        shape = None if rows is None else rows.shape
        raise WindowFailedError(f"model {contract.name} answered with shape {shape}, wanted (1, k, 6)")
    if kept is None or kept.shape != (1, *contract.memory) or not np.isfinite(kept).all():
        raise WindowFailedError(f"model {contract.name}: `{OUTPUT}` is not {contract.memory} of numbers")
    return Inference(rows[0], result.get_response().model_version, kept[0])

"""One request to Triton whose tensors travel in the message: for networks that take more than a picture."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tritonclient.grpc.aio as triton
from numpy.typing import NDArray

from processors.in_flight import GIVE_UP_SECONDS

Inputs = Mapping[str, tuple[str, NDArray[Any]]]
"""by name: the type as in KServe, and the value without the batch"""


async def requested(
    client: triton.InferenceServerClient, model: str, version: str, inputs: Inputs, outputs: Sequence[str]
) -> tuple[list[NDArray[Any] | None], str]:
    """The outputs, with a batch of one, and the version that has answered. Raises what the client raises."""
    tensors = []
    for name, (kind, value) in inputs.items():
        tensor = triton.InferInput(name, [1, *value.shape], kind)
        tensor.set_data_from_numpy(value[np.newaxis])
        tensors.append(tensor)
    result = await client.infer(
        model,
        tensors,
        model_version=version,
        outputs=[triton.InferRequestedOutput(name) for name in outputs],
        client_timeout=GIVE_UP_SECONDS,
    )
    return [result.as_numpy(name) for name in outputs], result.get_response().model_version

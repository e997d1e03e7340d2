"""A real Triton with some models, and one request to one of them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc as triton
from numpy.typing import NDArray

from devstack.stack import Stack

Feed = Mapping[str, NDArray[Any]]


@contextmanager
def serving(repository: Path, models: Sequence[str]) -> Iterator[triton.InferenceServerClient]:
    with Stack(services=("triton",), model_repository=repository, models=models) as stack:
        client = triton.InferenceServerClient(stack.addresses.triton_grpc)
        yield client
        client.close()


def ask(
    client: triton.InferenceServerClient, model: str, feed: Feed, outputs: Sequence[str]
) -> dict[str, NDArray[Any]]:
    """The outputs by name, in that order. Bytes go in as UINT8 or INT8, all else as FP32."""
    types = {"uint8": "UINT8", "int8": "INT8"}
    tensors = []
    for name, value in feed.items():
        tensors.append(triton.InferInput(name, list(value.shape), types.get(value.dtype.name, "FP32")))
        tensors[-1].set_data_from_numpy(np.ascontiguousarray(value))
    result = client.infer(model, tensors)
    answers = {}
    for output in outputs:
        answer = result.as_numpy(output)
        assert answer is not None, f"{model} has no {output}"
        answers[output] = answer
    return answers

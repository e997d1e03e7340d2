"""Triton's `onnxruntime` backend for machines that have only its Python backend: CPU, same config.pbtxt.

Triton finds it by its folder's name (`backend: "onnxruntime"`). Any number of inputs and outputs; `instance_group
count` makes one process per instance; parameters `intra_op_thread_count` (1) and `inter_op_thread_count` (1) as in the
C++ backend. Accelerators that want a GPU are passed over, with a line in the log: the network runs in float32, as it
is. What comes together, in a request or from the dynamic batcher, runs row by row: on a CPU a joint batch is no faster,
the memory of the largest one stays, and its company would have a say in a result.

A model that can't be served is refused when it is loaded, with what is wrong in the message: missing or corrupt
file, inputs or outputs whose names, types or dimensions differ from config.pbtxt.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import triton_python_backend_utils as pb

_TENSOR_TYPES = {
    "tensor(bool)": "TYPE_BOOL",
    "tensor(uint8)": "TYPE_UINT8",
    "tensor(uint16)": "TYPE_UINT16",
    "tensor(uint32)": "TYPE_UINT32",
    "tensor(uint64)": "TYPE_UINT64",
    "tensor(int8)": "TYPE_INT8",
    "tensor(int16)": "TYPE_INT16",
    "tensor(int32)": "TYPE_INT32",
    "tensor(int64)": "TYPE_INT64",
    "tensor(float16)": "TYPE_FP16",
    "tensor(float)": "TYPE_FP32",
    "tensor(double)": "TYPE_FP64",
    "tensor(string)": "TYPE_STRING",
}


def _parameter(config: dict[str, Any], name: str, default: int) -> int:
    text = config.get("parameters", {}).get(name, {}).get("string_value", "")
    return int(text) if text else default


def _gpu_accelerators(config: dict[str, Any]) -> list[str]:
    accelerators = config.get("optimization", {}).get("execution_accelerators", {})
    return [each["name"] for each in accelerators.get("gpu_execution_accelerator", [])]


def _differences(declared: list[dict[str, Any]], nodes: list[Any], batched: bool) -> list[str]:
    """What of config.pbtxt contradicts the model; `dims` there leave out the batch dimension."""
    found, by_name = [], {node.name: node for node in nodes}
    for tensor in declared:
        name, dims = tensor["name"], [int(d) for d in tensor["dims"]]
        node = by_name.get(name)
        if node is None:
            found.append(f"the model has no '{name}' (it has {', '.join(sorted(by_name))})")
            continue
        if _TENSOR_TYPES.get(node.type) != tensor["data_type"]:
            found.append(f"'{name}' is {node.type} in the model, {tensor['data_type']} in config.pbtxt")
        shape = list(node.shape)
        if batched:
            if shape and isinstance(shape[0], int):
                found.append(f"'{name}' has a fixed batch of {shape[0]}, so max_batch_size must be 0")
            shape = shape[1:]
        fits = len(shape) == len(dims) and all(
            not isinstance(have, int) or want in (-1, have) for have, want in zip(shape, dims, strict=True)
        )
        if not fits:
            found.append(f"'{name}' has dimensions {shape} in the model, {dims} in config.pbtxt")
    return found


class TritonPythonModel:
    """One instance of one model version; Triton calls its methods."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the model. Raises TritonModelException: Triton then refuses the model with this message."""
        config = json.loads(args["model_config"])
        name = config.get("default_model_filename") or "model.onnx"
        path = Path(args["model_repository"], args["model_version"], name)
        where = f"{args['model_name']} version {args['model_version']}"
        if not path.is_file():
            raise pb.TritonModelException(f"{where}: there is no {path}")
        options = ort.SessionOptions()
        options.intra_op_num_threads = _parameter(config, "intra_op_thread_count", 1)
        options.inter_op_num_threads = _parameter(config, "inter_op_thread_count", 1)
        # spinning threads would take the cores from decoding
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise pb.TritonModelException(f"{where}: {path.name} is not a usable ONNX model: {error}") from error
        if accelerators := _gpu_accelerators(config):
            pb.Logger.log_warn(f"{where}: no GPU here, so without {', '.join(accelerators)}: float32 on the CPU")
        self._batched = batched = config.get("max_batch_size", 0) > 0
        declared = [tensor["name"] for tensor in config["input"]]
        wrong = _differences(config["input"], self._session.get_inputs(), batched)
        wrong += _differences(config["output"], self._session.get_outputs(), batched)
        wrong += [
            f"config.pbtxt lacks the input '{node.name}'"
            for node in self._session.get_inputs()
            if node.name not in declared
        ]
        if wrong:
            raise pb.TritonModelException(f"{where}: {'; '.join(wrong)}")
        self._inputs = declared
        self._outputs = [tensor["name"] for tensor in config["output"]]

    def execute(self, requests: list[Any]) -> list[Any]:
        """One response per request; a bad one fails alone."""
        return [self._answer(request) for request in requests]

    def _run(self, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        counts = {len(array) for array in feeds.values()} if self._batched else {1}
        if counts == {1} or len(counts) > 1:  # rows that don't pair up are the session's to refuse
            values: list[np.ndarray] = self._session.run(self._outputs, feeds)
            return values
        rows = [
            self._session.run(self._outputs, {name: array[row : row + 1] for name, array in feeds.items()})
            for row in range(*counts)
        ]
        return [np.concatenate(values) for values in zip(*rows, strict=True)]

    def _feeds(self, request: Any) -> dict[str, np.ndarray]:
        return {name: pb.get_input_tensor_by_name(request, name).as_numpy() for name in self._inputs}

    def _response(self, request: Any, values: dict[str, np.ndarray]) -> Any:
        wanted = set(request.requested_output_names()) or set(self._outputs)
        return pb.InferenceResponse([pb.Tensor(name, array) for name, array in values.items() if name in wanted])

    def _answer(self, request: Any) -> Any:
        try:
            values = self._run(self._feeds(request))
        except Exception as error:
            return pb.InferenceResponse(error=pb.TritonError(str(error), pb.TritonError.INVALID_ARG))
        return self._response(request, dict(zip(self._outputs, values, strict=True)))

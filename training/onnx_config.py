"""What the config.pbtxt of every model has in common that ONNX Runtime serves, for whichever contract."""

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf import text_format  # type: ignore[import-untyped]
from tritonclient.grpc import model_config_pb2

from training.contract import ModelError

Tensors = Mapping[str, tuple[str, tuple[int, ...]]]
"""by name: type as in KServe (UINT8, FP32), and shape without the batch"""

_INSTANCES: Final = """\
# The instances' kind is left out on purpose: Triton then uses GPUs where it sees some and CPUs elsewhere.
"""


def onnx_config(
    name: str, inputs: Tensors, outputs: Tensors, max_batch_size: int, instances: int, parameters: Mapping[str, str]
) -> Any:
    """A ModelConfig. `max_batch_size` 1: the graph itself is tied to a single picture."""
    batched = max_batch_size > 1
    leading = [] if batched else [1]

    def listed(kind: Any, tensors: Tensors) -> list[Any]:
        return [
            kind(name=name, data_type=getattr(model_config_pb2, f"TYPE_{datatype}"), dims=[*leading, *shape])
            for name, (datatype, shape) in tensors.items()
        ]

    config = model_config_pb2.ModelConfig(
        name=name,
        backend="onnxruntime",
        default_model_filename="model.onnx",
        # 0 tells Triton that the model's own shape holds the batch
        max_batch_size=max_batch_size if batched else 0,
        input=listed(model_config_pb2.ModelInput, inputs),
        output=listed(model_config_pb2.ModelOutput, outputs),
        instance_group=[model_config_pb2.ModelInstanceGroup(count=instances)],
    )
    config.version_policy.latest.num_versions = 1
    if batched:
        config.dynamic_batching.SetInParent()
    # read by the ONNX Runtime backends: two instances of one thread each beat one of two
    threads = {"intra_op_thread_count": "1", "inter_op_thread_count": "1"}
    for key, value in {**parameters, **threads}.items():
        config.parameters[key].string_value = value
    return config


def text_of(config: Any, author: str, remark: str = "") -> str:
    """`author`: the command that writes it."""
    head = f"# Written by `{author}`; serve it with --model-repository.\n{_INSTANCES}{remark}"
    return head + str(text_format.MessageToString(config))


def rewritten(text: str, config: Any) -> str:
    """A config.pbtxt with other content under the same heading."""
    lines = text.splitlines(keepends=True)
    head = next((at for at, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return "".join(lines[:head]) + str(text_format.MessageToString(config))


def parsed(text: str) -> Any:
    """A ModelConfig. Raises ModelError."""
    config = model_config_pb2.ModelConfig()
    try:
        text_format.Parse(text, config)
    except text_format.ParseError as error:
        raise ModelError(f"config.pbtxt: {type(error).__name__} {error}") from None
    return config


def parameters_of(config: Any) -> dict[str, str]:
    return {key: value.string_value for key, value in config.parameters.items()}

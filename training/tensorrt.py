"""The TensorRT accelerator in a model's config.pbtxt, for Triton's official image (docs/adr/0023-tensorrt.md).

Names and meanings of the options: https://github.com/triton-inference-server/onnxruntime_backend (README, TensorRT) and
https://onnxruntime.ai/docs/execution-providers/TensorRT-ExecutionProvider.html.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Literal

from msgspec import Struct
from onnx import ModelProto

from training.contract import ModelError
from training.onnx_config import parsed, rewritten

Precision = Literal["fp16", "int8"]
ENGINES: Final = "/engines"
"""where Triton keeps what it has built, as Triton sees it; deploy/compose/gpu.yml has a volume there"""
WORKSPACE_BYTES: Final = 1 << 30
TABLE: Final = "calibration"
"""how a table's name begins, beside the weights of the version that it is of"""

_NAME: Final = "tensorrt"
_FITTED: Final = "tensorrt_versions"
"""parameter of config.pbtxt: the versions for which the accelerator's options were written"""
_WHOLE: Final = frozenset(
    {
        "max_workspace_size_bytes", "trt_max_partition_iterations", "trt_min_subgraph_size", "trt_dla_core",
        "trt_builder_optimization_level", "trt_auxiliary_streams", "trt_ep_context_embed_mode",
    }
)  # fmt: skip
_SWITCHES: Final = frozenset(
    {
        "int8_use_native_calibration_table", "trt_dla_enable", "trt_engine_cache_enable", "trt_dump_subgraphs",
        "trt_force_sequential_engine_build", "trt_context_memory_sharing_enable", "trt_layer_norm_fp32_fallback",
        "trt_timing_cache_enable", "trt_force_timing_cache", "trt_detailed_build_log", "trt_build_heuristics_enable",
        "trt_sparsity_enable", "trt_cuda_graph_enable", "trt_dump_ep_context_model",
    }
)  # fmt: skip
_TEXTS: Final = frozenset(
    {
        "int8_calibration_table_name", "trt_engine_cache_path", "trt_engine_cache_prefix", "trt_timing_cache_path",
        "trt_tactic_sources", "trt_extra_plugin_lib_paths", "trt_profile_min_shapes", "trt_profile_max_shapes",
        "trt_profile_opt_shapes", "trt_ep_context_file_path",
    }
)  # fmt: skip
_OURS: Final = frozenset(
    {
        "precision_mode", "int8_calibration_table_name", "int8_use_native_calibration_table", "trt_engine_cache_enable",
        "trt_engine_cache_path",
    }
)  # fmt: skip
"""follow from the precision and the version"""


class Wish(Struct, frozen=True):
    precision: Precision
    engines: str
    """a folder as Triton sees it, in which it may write"""
    key: str
    """of the weights: engines of others are never taken for theirs"""
    table: str = ""
    """of int8: where its calibration lies, as Triton sees it"""
    more: Mapping[str, str] = {}
    """further options of the accelerator"""


def accelerated(text: str, wish: Wish, served: Sequence[int]) -> str:
    """A config.pbtxt with the accelerator. Raises ModelError for what cannot be."""
    if wish.precision not in ("fp16", "int8"):
        raise ModelError(f"{wish.precision!r} is no precision of ours: fp16 or int8")
    if not wish.engines.startswith("/"):
        raise ModelError(f"{wish.engines!r} is no absolute path, as Triton sees it")
    if (wish.precision == "int8") != bool(wish.table):
        raise ModelError("int8 wants a calibration, and nothing else does")
    check_options(wish.more)
    if taken := sorted(_OURS & set(wish.more)):
        raise ModelError(f"{', '.join(taken)}: follows from the precision and the version")
    config = parsed(text)
    _cool(config)
    options = {
        "precision_mode": wish.precision.upper(),
        "max_workspace_size_bytes": str(WORKSPACE_BYTES),
        **_cache(wish.engines, config.name, wish.key),
        **wish.more,
    }
    if wish.table:
        options |= {"int8_calibration_table_name": wish.table, "int8_use_native_calibration_table": "0"}
    if len(served) > 1:
        if wish.table:
            raise ModelError(
                f"{config.name} serves the versions {_listed(served)}, and a calibration is of one: fp16 is for all"
            )
        options |= _NO_CACHE
    _write(config, options)
    _warm(config)
    config.parameters[_FITTED].string_value = _listed(served)
    return rewritten(text, config)


def plain(text: str) -> str:
    """The same without the accelerator. Raises ModelError."""
    config = parsed(text)
    _remove(config)
    _cool(config)
    if _FITTED in config.parameters:
        del config.parameters[_FITTED]
    return rewritten(text, config)


def options_of(config: Any) -> dict[str, str]:
    """The accelerator's options; empty where there is none."""
    for accelerator in config.optimization.execution_accelerators.gpu_execution_accelerator:
        if accelerator.name == _NAME:
            return dict(accelerator.parameters)
    return {}


def fit(config: Any, served: Collection[int]) -> None:
    """Other versions are served from now on. What TensorRT has built is kept by the names of a network's tensors, and
    ranges are told by them too: two versions of one network would take each other's."""
    options = options_of(config)
    if not options or config.parameters[_FITTED].string_value == _listed(served):
        return
    if options.pop("int8_calibration_table_name", None) is not None:
        options.pop("int8_use_native_calibration_table", None)
        options["precision_mode"] = "FP16"
    _write(config, {**options, **_NO_CACHE})
    config.parameters[_FITTED].string_value = _listed(served)


def check_graph(what: str, model: ModelProto) -> None:
    """Raises ModelError for a network whose values are unsigned, with a zero point of their own."""
    if any(node.op_type == "QuantizeLinear" for node in model.graph.node):
        raise ModelError(
            f"{what} is quantised for CPUs, with values from 0 to 255, which TensorRT does not take; it is for the "
            "model that this was made of"
        )


def check_options(options: Mapping[str, str]) -> None:
    """Raises ModelError for an option that the backend does not know, or a value that it could not read."""
    for name, value in options.items():
        if name == "precision_mode":
            right = value in ("FP32", "FP16", "INT8")
        elif name in _WHOLE:
            right = value.removeprefix("-").isdecimal() and value.isascii()
        elif name in _SWITCHES:
            right = value in ("0", "1", "true", "false")
        elif name in _TEXTS:
            right = bool(value)
        else:
            raise ModelError(f"{name!r} is no option of the TensorRT accelerator")
        if not right:
            raise ModelError(f"{value!r} is no value of {name}")


_NO_CACHE: Final = {"trt_engine_cache_enable": "0"}


def _cache(engines: str, name: str, key: str) -> dict[str, str]:
    return {"trt_engine_cache_enable": "1", "trt_engine_cache_path": f"{engines.rstrip('/')}/{name}-{key}"}


def _warm(config: Any) -> None:
    """Engines are for the sizes of batches that have come: with one picture and the largest batch, before the model is
    called ready, no other size has one built while pictures wait."""
    if config.max_batch_size <= 1 or any(size < 1 for tensor in config.input for size in tensor.dims):
        return
    for batch in (1, config.max_batch_size):
        sample = config.model_warmup.add(name=f"{_NAME} {batch}", batch_size=batch)
        for tensor in config.input:
            sample.inputs[tensor.name].data_type = tensor.data_type
            sample.inputs[tensor.name].dims.extend(tensor.dims)
            sample.inputs[tensor.name].zero_data = True


def _cool(config: Any) -> None:
    for at in reversed(range(len(config.model_warmup))):
        if config.model_warmup[at].name.startswith(f"{_NAME} "):
            del config.model_warmup[at]


def _write(config: Any, options: Mapping[str, str]) -> None:
    _remove(config)
    accelerator = config.optimization.execution_accelerators.gpu_execution_accelerator.add(name=_NAME)
    for key, value in options.items():
        accelerator.parameters[key] = value


def _remove(config: Any) -> None:
    listed = config.optimization.execution_accelerators.gpu_execution_accelerator
    for at in reversed(range(len(listed))):
        if listed[at].name == _NAME:
            del listed[at]
    accelerators = config.optimization.execution_accelerators
    if not accelerators.ByteSize():
        config.optimization.ClearField("execution_accelerators")
    if not config.optimization.ByteSize():
        config.ClearField("optimization")


def _listed(versions: Collection[int]) -> str:
    return ", ".join(str(version) for version in sorted(versions))

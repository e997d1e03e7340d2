"""A detector's config.pbtxt: one text for Triton's official image and for the CPU backend without Docker."""

from google.protobuf import text_format  # type: ignore[import-untyped]
from tritonclient.grpc import model_config_pb2

from training.contract import INPUT, OUTPUT, ROW, Detector, ModelError

_HEAD = """\
# Written by `rewatch models`; serve it with --model-repository.
# The instances' kind is left out on purpose: Triton then uses GPUs where it sees some and CPUs elsewhere.
# No queue delay: a lone picture is inferred at once, and a batch forms only of what waits anyway.
"""
_INSTANCES = 2
"""one may infer while the other's result is on its way; each costs 50 to 150 MB"""


def config_text(detector: Detector) -> str:
    batched = detector.max_batch_size > 1
    leading = [] if batched else [1]
    config = model_config_pb2.ModelConfig(
        name=detector.name,
        backend="onnxruntime",
        default_model_filename="model.onnx",
        # 0 tells Triton that the model's own shape holds the batch
        max_batch_size=detector.max_batch_size if batched else 0,
        input=[
            model_config_pb2.ModelInput(
                name=INPUT,
                data_type=model_config_pb2.TYPE_UINT8,
                dims=[*leading, detector.height, detector.width, 3],
            )
        ],
        output=[
            model_config_pb2.ModelOutput(
                name=OUTPUT, data_type=model_config_pb2.TYPE_FP32, dims=[*leading, detector.rows, ROW]
            )
        ],
        instance_group=[model_config_pb2.ModelInstanceGroup(count=_INSTANCES)],
        model_warmup=[_warmup(detector, leading)],
    )
    config.version_policy.latest.num_versions = 1
    if batched:
        config.dynamic_batching.SetInParent()
    parameters = {
        "family": detector.family,
        "labels": ",".join(detector.labels),
        "letterbox": detector.letterbox,
        "pad": str(detector.pad),
        # read by the ONNX Runtime backends: two instances of one thread each beat one of two
        "intra_op_thread_count": "1",
        "inter_op_thread_count": "1",
    }
    for key, value in parameters.items():
        config.parameters[key].string_value = value
    return _HEAD + str(text_format.MessageToString(config))


def _warmup(detector: Detector, leading: list[int]) -> model_config_pb2.ModelWarmup:
    """The first inference allocates: let it be this one, before the model is called ready."""
    warmup = model_config_pb2.ModelWarmup(name="grey", batch_size=1 if not leading else 0)
    picture = warmup.inputs[INPUT]
    picture.data_type = model_config_pb2.TYPE_UINT8
    picture.dims.extend([*leading, detector.height, detector.width, 3])
    picture.zero_data = True
    return warmup


def parse_config(text: str) -> Detector:
    """The detector that a config.pbtxt describes. Raises ModelError when it isn't one of ours."""
    config = model_config_pb2.ModelConfig()
    try:
        text_format.Parse(text, config)
        shape, rows = list(config.input[0].dims), list(config.output[0].dims)
        parameters = {key: value.string_value for key, value in config.parameters.items()}
        letterbox = parameters["letterbox"]
        if letterbox not in ("top_left", "center") or config.input[0].name != INPUT or config.output[0].name != OUTPUT:
            raise ValueError("not a served detector")
        return Detector(
            name=config.name,
            family=parameters.get("family", "?"),
            width=shape[-2],
            height=shape[-3],
            labels=tuple(parameters["labels"].split(",")),
            letterbox=letterbox,
            pad=int(parameters["pad"]),
            rows=rows[-2],
            max_batch_size=config.max_batch_size or 1,
        )
    except (text_format.ParseError, KeyError, IndexError, ValueError) as error:
        raise ModelError(f"config.pbtxt: {type(error).__name__} {error}") from None

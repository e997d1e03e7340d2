"""A detector's config.pbtxt: one text for Triton's official image and for the CPU backend without Docker."""

from collections.abc import Sequence

import msgspec

from training.contract import INPUT, OUTPUT, ROW, Detector, ModelError
from training.onnx_config import onnx_config, parameters_of, parsed, rewritten, text_of
from training.tensorrt import fit

LIVE = "live"
"""parameter of config.pbtxt: the version that answers whoever names none. A change of it makes Triton load every served
version anew, so that all of them tell the same; of a policy alone the older ones would not hear."""

_AUTHOR = "rewatch models"
_REMARK = """\
# No queue delay: a lone picture is inferred at once, and a batch forms only of what waits anyway.
"""
_INSTANCES = 2
"""one may infer while the other's result is on its way; each costs 50 to 150 MB"""


def config_text(detector: Detector) -> str:
    parameters = {
        "family": detector.family,
        "labels": ",".join(detector.labels),
        "letterbox": detector.letterbox,
        "pad": str(detector.pad),
    }
    picture = (detector.height, detector.width, 3)
    config = onnx_config(
        detector.name,
        {INPUT: ("UINT8", picture)},
        {OUTPUT: ("FP32", (detector.rows, ROW))},
        detector.max_batch_size,
        _INSTANCES,
        parameters,
    )
    # the first inference allocates: let it be this one, before the model is called ready
    warmup = config.model_warmup.add(name="grey", batch_size=1 if detector.max_batch_size > 1 else 0)
    warmup.inputs[INPUT].data_type = config.input[0].data_type
    warmup.inputs[INPUT].dims.extend(config.input[0].dims)
    warmup.inputs[INPUT].zero_data = True
    return text_of(config, _AUTHOR, _REMARK)


def with_versions(text: str, live: int, served: Sequence[int]) -> str:
    """A config.pbtxt that serves these versions, one of them live. Raises ModelError when the text is none."""
    config = parsed(text)
    config.version_policy.specific.versions[:] = [live, *sorted(set(served) - {live})]
    config.parameters[LIVE].string_value = str(live)
    fit(config, config.version_policy.specific.versions)
    return rewritten(text, config)


def versions_of(text: str, stored: Sequence[int]) -> tuple[int, tuple[int, ...]]:
    """The live version, and all that are served, of those that are stored. Raises ModelError."""
    config = parsed(text)
    policy = config.version_policy
    if policy.HasField("specific"):
        served = [version for version in policy.specific.versions if version in stored]
    else:
        served = sorted(stored) if policy.HasField("all") else sorted(stored)[-(policy.latest.num_versions or 1) :]
    if not served:
        raise ModelError(f"config.pbtxt: none of its versions is there; there are {sorted(stored)}")
    told = config.parameters[LIVE].string_value if LIVE in config.parameters else ""
    return int(told) if told.isdigit() and int(told) in served else max(served), tuple(sorted(served))


def parse_config(text: str) -> Detector:
    """The detector that a config.pbtxt describes. Raises ModelError when it isn't one of ours."""
    config = parsed(text)
    try:
        shape, rows = list(config.input[0].dims), list(config.output[0].dims)
        parameters = parameters_of(config)
        if ([each.name for each in config.input], config.output[0].name) != ([INPUT], OUTPUT):
            raise ValueError("not a served detector")
        described = {
            "name": config.name,
            "family": parameters.get("family", "?"),
            "width": shape[-2],
            "height": shape[-3],
            "labels": parameters["labels"].split(","),
            "letterbox": parameters["letterbox"],
            "pad": int(parameters["pad"]),
            "rows": rows[-2],
            "max_batch_size": config.max_batch_size or 1,
        }
        return msgspec.convert(described, Detector)
    except KeyError as error:
        raise ModelError(f"config.pbtxt: no parameter {error}, so this is no detector") from None
    except (IndexError, ValueError) as error:
        raise ModelError(f"config.pbtxt: {type(error).__name__} {error}") from None

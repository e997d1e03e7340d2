"""What every served pose model promises, whatever network is inside; `vision/pose.py` understands the answers.

Input `image`: uint8 [N, H, W, 3] RGB, already letterboxed. Output either `people` float32 [N, K, 18, 3] with `scores`
[N, K] (answers `people`), or `peaks` [N, 18, P, 3] with `links` [N, 19, P, P] (answers `links`), K or P being `rows`.
"""

from typing import Final, Literal

import msgspec
import onnx
from msgspec import Struct

from training.contract import Letterbox, ModelError
from training.onnx_config import onnx_config, parameters_of, parsed, text_of
from vision.pose import COUNT, LIMBS

INPUT: Final = "image"
Answers = Literal["people", "links"]
_AUTHOR: Final = "rewatch models import"


class PoseModel(Struct, frozen=True):
    """A pose model as it is served, all but its weights."""

    name: str
    family: str
    width: int
    height: int
    letterbox: Letterbox
    pad: int
    answers: Answers
    rows: int
    max_batch_size: int
    """1 where the network's own graph is tied to a single picture"""

    @property
    def outputs(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes, without the batch."""
        if self.answers == "people":
            return {"people": (self.rows, COUNT, 3), "scores": (self.rows,)}
        return {"peaks": (COUNT, self.rows, 3), "links": (len(LIMBS), self.rows, self.rows)}


class ServedPose(Struct, frozen=True):
    """A pose model with its graph, ready to be written into a model repository."""

    model: PoseModel
    graph: onnx.ModelProto


def config_text(model: PoseModel) -> str:
    """Its config.pbtxt."""
    parameters = {
        "task": "pose",
        "family": model.family,
        "answers": model.answers,
        "letterbox": model.letterbox,
        "pad": str(model.pad),
    }
    outputs = {name: ("FP32", shape) for name, shape in model.outputs.items()}
    picture = ("UINT8", (model.height, model.width, 3))
    return text_of(onnx_config(model.name, {INPUT: picture}, outputs, model.max_batch_size, 1, parameters), _AUTHOR)


def parse_config(text: str) -> PoseModel:
    """The model that a config.pbtxt describes. Raises ModelError when it is no pose model."""
    config = parsed(text)
    parameters = parameters_of(config)
    try:
        if parameters["task"] != "pose":
            raise ValueError(f"task {parameters['task']!r}")
        shape, rows = list(config.input[0].dims), list(config.output[0].dims)
        described = {
            "name": config.name,
            "family": parameters.get("family", "?"),
            "width": shape[-2],
            "height": shape[-3],
            "letterbox": parameters["letterbox"],
            "pad": int(parameters["pad"]),
            "answers": parameters["answers"],
            "rows": rows[-2] if parameters["answers"] == "links" else rows[-3],
            "max_batch_size": config.max_batch_size or 1,
        }
        return msgspec.convert(described, PoseModel)
    except (KeyError, ValueError, IndexError) as error:
        raise ModelError(f"config.pbtxt: no pose model: {type(error).__name__} {error}") from None

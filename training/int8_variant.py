"""The static INT8 variant of a network that is no detector, as docs/adr/0016-int8.md makes those of detectors: its
convolutions with their ReLU and what stands between them; all else stays in float32. Needs ONNX Runtime."""

import tempfile
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct
from onnx import ModelProto

from training.int8_graph import in_int8
from training.quantization import between_convolutions
from training.speed import Feed, Speed, speed

SUFFIX: Final = "-int8"
QUANTIZATION: Final = "quantization"
"""under which a variant's card holds its trial ..."""
REFUSED: Final = "int8_refused"
"""... or the original's, where the variant does not pay"""
MOST_LOST: Final = 0.01
"""of what a network is judged by"""
LEAST_FASTER: Final = 1.2
_KINDS: Final = ("Conv", "Relu", "Add", "Concat", "MaxPool", "Resize")


class Int8Trial(Struct, frozen=True):
    """What became of the variant, for its card; or, where it does not pay, for the original's."""

    calibration_pictures: int
    judged_by: str
    before: float
    after: float
    speed: Speed
    bytes_before: int
    bytes_after: int

    @property
    def objection(self) -> str | None:
        """Why it is not worth serving, with figures."""
        if self.before - self.after > MOST_LOST:
            return f"{self.judged_by} falls from {self.before:.3f} to {self.after:.3f}; {MOST_LOST:g} may be lost"
        if self.speed.times_faster < LEAST_FASTER:
            return f"{self.speed.times_faster:g} times as fast; {LEAST_FASTER:g} times is the least"
        return None


def in_bytes(
    model: ModelProto,
    feeds: Sequence[Feed],
    name: str,
    nodes: Collection[str] | None = None,
    whole_range: bool = False,
) -> ModelProto:
    """Activations uint8, weights int8 per channel, ranges from the moving average of minimum and maximum over `feeds`
    (one picture each, with all of the model's inputs), or, where what is rare and extreme is what is looked for, the
    `whole_range`. `nodes`: those in question, by name; else all between convolutions."""
    wanted = between_convolutions(model.graph) if nodes is None else list(nodes)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "float32.onnx", Path(folder) / "int8.onnx"
        source.write_bytes(model.SerializeToString())
        variant = in_int8(source, target, feeds, _KINDS, wanted, whole_range=whole_range)
    variant.graph.name = name
    variant.producer_name = model.producer_name
    del variant.metadata_props[:]
    return variant


def tried(
    model: ModelProto,
    variant: ModelProto,
    calibration: Sequence[Feed],
    timed: Sequence[Feed],
    judged_by: str,
    judge: Callable[[ModelProto], float],
) -> Int8Trial:
    """`judge` says how good a graph is, 0 to 1, on what it has not learnt from."""
    return Int8Trial(
        calibration_pictures=len(calibration),
        judged_by=judged_by,
        before=round(judge(model), 4),
        after=round(judge(variant), 4),
        speed=speed(model, variant, timed),
        bytes_before=model.ByteSize(),
        bytes_after=variant.ByteSize(),
    )

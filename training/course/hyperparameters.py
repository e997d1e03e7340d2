"""What a search may change of a training, what is usual, and the file that a choice is kept in."""

from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from training.contract import ModelError


class Hyperparameters(Struct, frozen=True, forbid_unknown_fields=True):
    peak_rate: Annotated[float, Meta(gt=0, le=1)]
    weight_decay: Annotated[float, Meta(ge=0, le=1)]
    plain_share: Annotated[float, Meta(ge=0, le=1)]
    """the last share of the steps shows pictures as they are"""
    average_decay: Annotated[float, Meta(ge=0, lt=1)]
    """of the running average of the weights, which is what is served"""
    variation: Annotated[float, Meta(ge=0, le=2)]
    """how much pictures are varied"""


USUAL: Final = Hyperparameters(peak_rate=2e-3, weight_decay=0.02, plain_share=0.1, average_decay=0.995, variation=1.0)
USUAL_ON: Final = msgspec.structs.replace(USUAL, peak_rate=5e-4, average_decay=0.98)
"""where a model is gone on from"""


def read_recipe(file: Path) -> Hyperparameters:
    """Raises ModelError with the file and the field."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Hyperparameters)
    except (OSError, msgspec.DecodeError) as error:
        raise ModelError(f"{file}: no recipe: {error}") from None

"""Models in a repository that keep a contract of their own (the inspection cascade, activity, detectors with a memory
or with flow), read back as far as `config.pbtxt` and their card tell."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct
from tritonclient.grpc import model_config_pb2

from training import model_repository
from training.contract import ModelError
from training.model_card import ModelCard, read_card
from training.model_repository import CARD, GRAPH, loaded, read_config
from training.onnx_config import parameters_of, parsed
from training.pose import repository as poses

_PARAMETERS_OF_THE_SERVER = ("intra_op_thread_count", "inter_op_thread_count")


class Tensor(Struct, frozen=True):
    """`kind` as in KServe; `shape` without the batch."""

    kind: str
    shape: tuple[int, ...]


class ServedNetwork(Struct, frozen=True):
    folder: Path
    name: str
    family: str
    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]
    max_batch_size: int
    parameters: Mapping[str, str]
    """of the contract: labels, pictures a second, threshold ..."""
    card: ModelCard
    bytes: int

    @property
    def size(self) -> str:
        """Of the picture that goes in."""
        height, width, _ = self.inputs["image"].shape
        return f"{width}x{height}"


def load(folder: Path) -> ServedNetwork:
    """Raises ModelError for a folder that holds none, or a detector or pose model."""
    for other in (model_repository.load, poses.load):
        try:
            other(folder)
        except (ModelError, OSError):
            continue
        raise ModelError(f"{folder} holds a model of another contract")
    config = parsed(read_config(folder))
    try:
        card, size = read_card(folder / CARD), (folder / "1" / GRAPH).stat().st_size
    except (OSError, msgspec.DecodeError) as error:
        raise ModelError(f"{folder} holds no model of ours: {error}") from None
    inputs, outputs = (
        {tensor.name: Tensor(_kind(tensor.data_type), tuple(tensor.dims)) for tensor in tensors}
        for tensors in (config.input, config.output)
    )
    if "image" not in inputs or len(inputs["image"].shape) != 3:
        raise ModelError(f"{folder} holds a model that takes no picture")
    parameters = {
        key: value for key, value in sorted(parameters_of(config).items()) if key not in _PARAMETERS_OF_THE_SERVER
    }
    batch = max(int(config.max_batch_size), 1)
    return ServedNetwork(folder, config.name, card.family, inputs, outputs, batch, parameters, card, size)


def networks(repository: Path) -> Iterator[ServedNetwork]:
    """By name."""
    return loaded(repository, load)


def _kind(data_type: int) -> str:
    return str(model_config_pb2.DataType.Name(data_type)).removeprefix("TYPE_")

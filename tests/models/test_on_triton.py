"""What is written into a model repository is what a real Triton loads and serves."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import tritonclient.grpc as triton
from numpy.typing import NDArray

from devstack.stack import Stack
from tests.models import asking
from tests.training.tables import network
from training.acceleration import accelerate
from training.contract import INPUT, OUTPUT
from training.importing import import_detector
from training.model_repository import CONFIG, load
from training.model_server import TritonServer
from training.onnx_config import parsed
from training.tensorrt import Precision, check_options, options_of
from training.trial import pictures, session

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]
BUNDLED = Path(__file__).resolve().parents[2] / "triton_models" / "junction-yolo"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled detector, and an imported one that is tied to one picture at a time."""
    folder = tmp_path_factory.mktemp("served")
    shutil.copytree(BUNDLED, folder / "models" / BUNDLED.name)
    table = np.zeros((84, 7), np.float32)
    table[19] = [0.5, 0.25, 0.7, 1.1, 0.9, 0.1, 0.8]
    onnx.save(network({"output": table}, tied=True), folder / "tied.onnx")
    (folder / "labels.txt").write_text("car\nbus\n")
    import_detector(folder / "tied.onnx", "tied", "yolox", folder / "models", labels=folder / "labels.txt")
    with_tensorrt(folder / "models", BUNDLED.name, "fp16")
    with_tensorrt(folder / "models", "tied", "int8")
    return folder / "models"


def with_tensorrt(repository: Path, name: str, precision: Precision) -> None:
    """For a GPU; a Triton without one serves it as it was."""
    detector = load(repository / name).detector
    accelerate(
        repository, name, precision, TritonServer("127.0.0.1:1"), engines="/engines", seen_as=str(repository),
        pictures=lambda: pictures(detector, 8),
    )  # fmt: skip


def ask(client: triton.InferenceServerClient, model: str, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return asking.ask(client, model, {INPUT: images}, (OUTPUT,))[OUTPUT]


def test_served_as_it_runs_here(repository: Path) -> None:
    names = [p.name for p in sorted(repository.iterdir())]
    with Stack(services=("triton",), model_repository=repository, models=names) as stack:
        client = triton.InferenceServerClient(stack.triton.address)
        for name in names:
            detector = load(repository / name).detector
            config = client.get_model_config(name).config
            assert config.parameters["labels"].string_value == ",".join(detector.labels)
            told = options_of(config)
            check_options(told)
            assert told == options_of(parsed((repository / name / CONFIG).read_text()))
            assert told["precision_mode"] == {"tied": "INT8"}.get(name, "FP16")
            assert client.get_model_metadata(name).platform == config.platform
            count = 3 if detector.max_batch_size > 1 else 1
            images = pictures(detector, count)
            here = session(str(repository / name / "1" / "model.onnx")).run([OUTPUT], {INPUT: images})[0]
            # Triton's own environment may hold another release of ONNX Runtime
            np.testing.assert_allclose(ask(client, name, images), np.asarray(here), rtol=1e-4, atol=1e-3)
        client.close()
        assert "junction-yolo version 1: no GPU here, so without tensorrt" in stack.triton.log.read_text()

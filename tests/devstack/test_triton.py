"""Triton with the backend of deploy/triton: what it computes, what it refuses, and what a dead stub takes."""

import json
import os
import signal
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
import tritonclient.grpc as grpcclient
import tritonclient.utils.shared_memory as shm
from tritonclient.utils import InferenceServerException

from devstack.service import ServiceError
from devstack.stack import Stack
from tests.devstack.models import write_model
from tests.devstack.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_model(folder, "mean", instances=2)
    write_model(folder, "batched", delay=300_000)
    return folder


@pytest.fixture(scope="module")
def stack(repository: Path) -> Iterator[Stack]:
    with Stack(services=("triton",), model_repository=repository, models=("mean", "batched")) as stack:
        yield stack


@pytest.fixture
def client(stack: Stack) -> Iterator[grpcclient.InferenceServerClient]:
    with grpcclient.InferenceServerClient(stack.addresses.triton_grpc) as client:
        yield client


def infer(
    client: grpcclient.InferenceServerClient, model: str, image: np.ndarray, offset: float = 1.0
) -> dict[str, np.ndarray]:
    """image [N,H,W,3] -> both outputs."""
    pixels = grpcclient.InferInput("image", list(image.shape), "UINT8")
    pixels.set_data_from_numpy(image)
    shift = grpcclient.InferInput("offset", [len(image), 3], "FP32")
    shift.set_data_from_numpy(np.full((len(image), 3), offset, np.float32))
    result = client.infer(model, [pixels, shift], client_timeout=30)
    return {name: result.as_numpy(name) for name in ("mean", "shifted")}


def test_several_inputs_outputs_and_instances(stack: Stack, client: grpcclient.InferenceServerClient) -> None:
    image = np.random.default_rng(1).integers(0, 256, (2, 5, 7, 3), np.uint8)
    result = infer(client, "mean", image, 0.5)
    np.testing.assert_allclose(result["mean"], image.mean((1, 2)), rtol=1e-5)
    np.testing.assert_allclose(result["shifted"], image.mean((1, 2)) + 0.5, rtol=1e-5)
    assert len(stack.triton.stub_pids()) == 3  # two instances of one model, one of the other


def test_concurrent_requests_share_a_batch_and_get_their_own_rows(client: grpcclient.InferenceServerClient) -> None:
    images = [np.full((1, 4, 4, 3), 10 * number, np.uint8) for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(lambda image: infer(client, "batched", image), images))
    for number, result in enumerate(results):
        np.testing.assert_array_equal(result["shifted"], np.full((1, 3), 10 * number + 1, np.float32))
    statistics = client.get_inference_statistics("batched", as_json=True)["model_stats"][0]
    assert int(statistics["execution_count"]) < int(statistics["inference_count"])


def test_input_in_shared_memory(client: grpcclient.InferenceServerClient) -> None:
    key = f"rewatch-test-{uuid.uuid4().hex}"
    image = np.full((1, 8, 8, 3), 7, np.uint8)
    handle = shm.create_shared_memory_region(key, f"/{key}", image.nbytes)
    try:
        shm.set_shared_memory_region(handle, [image])
        client.register_system_shared_memory(key, f"/{key}", image.nbytes)
        pixels = grpcclient.InferInput("image", list(image.shape), "UINT8")
        pixels.set_shared_memory(key, image.nbytes)
        shift = grpcclient.InferInput("offset", [1, 3], "FP32")
        shift.set_data_from_numpy(np.zeros((1, 3), np.float32))
        result = client.infer("mean", [pixels, shift], client_timeout=30)
        np.testing.assert_array_equal(result.as_numpy("mean"), [[7, 7, 7]])
        client.unregister_system_shared_memory(key)
    finally:
        shm.destroy_shared_memory_region(handle)


def test_a_wrong_input_fails_alone(client: grpcclient.InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match="unexpected shape"):
        infer(client, "mean", np.zeros((1, 4, 4, 4), np.uint8))
    assert infer(client, "mean", np.zeros((1, 4, 4, 3), np.uint8))["mean"].shape == (1, 3)


def test_a_dead_stub_is_revived_by_unload_and_load(stack: Stack, client: grpcclient.InferenceServerClient) -> None:
    """Every health endpoint goes on saying ready; `load` alone does nothing, because nothing has changed."""
    image = np.zeros((1, 4, 4, 3), np.uint8)
    for pid in stack.triton.stub_pids():
        os.kill(pid, signal.SIGKILL)
    with pytest.raises(InferenceServerException, match=r"Stub process .* is not healthy"):
        infer(client, "mean", image)
    with pytest.raises(ConnectionError, match=r"mean: .*not healthy"):
        stack.triton.probe()
    assert client.is_server_ready()
    assert client.is_model_ready("mean")
    client.load_model("mean")
    with pytest.raises(InferenceServerException, match=r"Stub process .* is not healthy"):
        infer(client, "mean", image)
    for model in ("mean", "batched"):
        client.unload_model(model)
        client.load_model(model)
    np.testing.assert_array_equal(infer(client, "mean", image)["shifted"], [[1, 1, 1]])
    stack.triton.probe()


@pytest.mark.parametrize(
    ("name", "spoil", "message"),
    [
        ("gone", "gone", r"gone version 1: there is no .*model\.onnx"),
        ("corrupt", "corrupt", r"corrupt version 1: model\.onnx is not a usable ONNX model"),
        ("shape", "shape", r"shape version 1: 'offset' has dimensions \[3\] in the model, \[4\] in config\.pbtxt"),
        ("type", "type", r"type version 1: 'offset' is tensor\(float\) in the model, TYPE_FP64 in config\.pbtxt"),
        ("renamed", "renamed", r"the model has no 'picture' \(it has image, offset\); .* lacks .*'image'"),
        ("fixed", "fixed", r"fixed version 1: 'image' has a fixed batch of 1, so max_batch_size must be 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_served_is_refused_with_its_reason(
    client: grpcclient.InferenceServerClient, repository: Path, name: str, spoil: str, message: str
) -> None:
    file = write_model(repository, name, offset=4 if spoil == "shape" else 3)
    config = repository / name / "config.pbtxt"
    text = config.read_text()
    if spoil == "gone":
        file.unlink()
    elif spoil == "corrupt":
        file.write_bytes(file.read_bytes()[:100])
    elif spoil == "type":
        config.write_text(text.replace('"offset" data_type: TYPE_FP32', '"offset" data_type: TYPE_FP64'))
    elif spoil == "renamed":
        config.write_text(text.replace('name: "image"', 'name: "picture"'))
    elif spoil == "fixed":
        model = onnx.load(file)
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
        onnx.save(model, file)
    with pytest.raises(InferenceServerException, match=message):
        client.load_model(name)
    assert not client.is_model_ready(name)
    assert infer(client, "mean", np.zeros((1, 4, 4, 3), np.uint8))["mean"].shape == (1, 3)


def test_threads_as_configured(client: grpcclient.InferenceServerClient, repository: Path, stack: Stack) -> None:
    before = set(stack.triton.stub_pids())
    write_model(repository, "threads")
    config = repository / "threads" / "config.pbtxt"
    config.write_text(config.read_text().replace('string_value: "1"', 'string_value: "3"'))
    client.load_model("threads")
    (stub,) = set(stack.triton.stub_pids()) - before
    (single, *_) = before
    many, few = (len(os.listdir(f"/proc/{pid}/task")) for pid in (stub, single))
    assert many == few + 2  # ONNX Runtime's pool is one smaller than its number: the caller works too
    client.unload_model("threads")
    assert until(lambda: set(stack.triton.stub_pids()) == before)


def test_a_model_that_cannot_load_fails_the_start(tmp_path: Path) -> None:
    write_model(tmp_path, "corrupt").write_bytes(b"not a model")
    with pytest.raises(ServiceError, match=r"(?s)triton ended with code 1.*not a usable ONNX model"):
        Stack(services=("triton",), model_repository=tmp_path, models=("corrupt",)).__enter__()


def test_explicit_control_loads_nothing_by_itself(client: grpcclient.InferenceServerClient, repository: Path) -> None:
    write_model(repository, "sleeping")
    index = json.loads(json.dumps(client.get_model_repository_index(as_json=True)))
    states = {model["name"]: model.get("state", "") for model in index["models"]}
    assert states["mean"] == "READY"
    assert states["sleeping"] != "READY"

"""The detector port on NVIDIA Triton: KServe v2 over gRPC, the image through system shared memory on one host."""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

import grpc
import msgspec
import numpy as np
import tritonclient.grpc.aio as triton
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from processors.errors import NotServedError, RetryError, WindowFailedError
from processors.in_flight import GIVE_UP_SECONDS, InFlight
from processors.ports import Beside, Inference, ModelContract, Observation, SceneContract
from processors.shared_images import SharedImages, Slot
from processors.triton_beside import BESIDE, asked, with_beside
from processors.triton_scene import observed, scene_contract
from runtime.logging import logger
from runtime.metrics import WORKER_RETRIES

T = TypeVar("T")

INFER_TIMEOUT_SECONDS: Final = 30.0
"""A detector answers within a hundredth of this, on a loaded core within a tenth. Longer means that a stub is stuck.
One that is only slow must not be taken for it: cameras would wait for a model that is loaded again for nothing."""

LOAD_SECONDS: Final = 60.0
"""A TensorRT engine that is built at the first loading takes longer; then the next try finds it being loaded."""

DRAIN_SECONDS: Final = 5.0
"""At the end, for what is under way."""

CONTRACT_SECONDS: Final = 5.0
"""How long a model's contract is believed before Triton is asked again: another version may be live by then."""

_RETRIED: Final = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "CANCELLED", "INTERNAL")

_CHANNEL: Final = [
    # left to itself a channel waits up to two minutes between two tries, and says so of every call meanwhile
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 500),
    # as Triton's client has it: the limit is Triton's to say
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
]

_MAX_PAUSE_SECONDS: Final = 0.5
"""between two tries; cameras are dark until the next one"""

_NOT_SERVED: Final = ("unknown model", "is not ready", "no available versions")
"""how Triton says so of a model, or of one version: `unknown model: 'x' version 1 is not at ready state`"""

_log = logger("triton")


class Spent(msgspec.Struct, frozen=True):
    """Inferences of one version of a model, and what they took."""

    inferences: int = 0
    compute_ns: int = 0

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(self.inferences + other.inferences, self.compute_ns + other.compute_ns)

    def __sub__(self, other: "Spent") -> "Spent":
        return Spent(self.inferences - other.inferences, self.compute_ns - other.compute_ns)

    @property
    def milliseconds(self) -> float | None:
        """Of one; null where there was none."""
        return round(self.compute_ns / 1e6 / self.inferences, 2) if self.inferences > 0 else None


class TritonDetector:
    """One per process. Waits for Triton as long as it takes; what a model refuses fails its window."""

    def __init__(
        self, address: str, shared_memory: bool, slots: int = 16, answer_seconds: float = INFER_TIMEOUT_SECONDS
    ) -> None:
        self._client = triton.InferenceServerClient(address, channel_args=_CHANNEL)
        self._images = SharedImages(slots) if shared_memory else None
        self._contracts: dict[tuple[str, str], tuple[float, ModelContract]] = {}
        self._scenes: dict[str, tuple[float, SceneContract]] = {}
        self._loading: dict[str, asyncio.Lock] = {}
        self._revived: dict[str, float] = {}
        self._in_flight = InFlight(answer_seconds)
        self.healthy = True
        """False while inferences are being repeated"""

    async def stop(self) -> None:
        await self._in_flight.drain(DRAIN_SECONDS)
        if self._images is not None:
            await self._images.stop(self._client)
        await self._client.close()

    async def contract(self, model: str, version: str = "") -> ModelContract:
        now = asyncio.get_running_loop().time()
        known = self._contracts.get((model, version))
        if known is not None and now - known[0] < CONTRACT_SECONDS:
            return known[1]
        contract = await self._patiently(model, lambda: self._ask_contract(model, version))
        self._contracts[model, version] = (now, contract)
        return contract

    async def infer(self, contract: ModelContract, images: Sequence[NDArray[np.uint8]]) -> list[Inference]:
        return await self._of_version(contract, lambda asked: self._infer_once(asked, images))

    async def infer_with(self, contract: ModelContract, image: NDArray[np.uint8], beside: Beside) -> Inference:
        return await self._of_version(
            contract, lambda version: self._in_flight.answer(asked(self._client, version, image, beside))
        )

    async def scene(self, model: str) -> SceneContract:
        now = asyncio.get_running_loop().time()
        known = self._scenes.get(model)
        if known is not None and now - known[0] < CONTRACT_SECONDS:
            return known[1]
        contract = await self._patiently(model, lambda: self._ask_scene(model))
        self._scenes[model] = (now, contract)
        return contract

    async def observe(
        self, contract: SceneContract, image: NDArray[np.uint8], h: NDArray[np.float32], c: NDArray[np.float32]
    ) -> Observation:
        asked = contract

        async def once() -> Observation:
            nonlocal asked
            try:
                return await self._in_flight.answer(observed(self._client, asked, image, h, c))
            except InferenceServerException as error:
                if not any(sign in str(error).lower() for sign in _NOT_SERVED):
                    raise
                live = await self._ask_scene(contract.name)
                if live.version == asked.version:
                    raise
                if msgspec.structs.replace(live, version=asked.version) != asked:
                    raise WindowFailedError(f"model {contract.name} takes or gives something else now") from error
                asked = live
                return await self._in_flight.answer(observed(self._client, asked, image, h, c))

        return await self._patiently(contract.name, once)

    async def spent(self, contract: ModelContract) -> Spent:
        """Since Triton has loaded that version. Waits while it does not answer."""

        async def once() -> Spent:
            told = await self._client.get_inference_statistics(
                contract.name, contract.version, client_timeout=INFER_TIMEOUT_SECONDS
            )
            (found,) = told.model_stats
            # of requests with several pictures, the pictures
            return Spent(found.inference_count, found.inference_stats.compute_infer.ns)

        return await self._patiently(contract.name, once)

    async def _of_version(self, contract: ModelContract, call: Callable[[ModelContract], Awaitable[T]]) -> T:
        """Of the contract's version; of the live one, where that has been taken away meanwhile."""
        version = contract

        async def once() -> T:
            nonlocal version
            try:
                return await call(version)
            except InferenceServerException as error:
                live = await self._succeeding(version, error)
                if live is None:
                    raise
                version = live
                return await call(version)

        return await self._patiently(contract.name, once)

    async def _succeeding(self, contract: ModelContract, error: InferenceServerException) -> ModelContract | None:
        """The contract of the version that is live instead of one that has been taken away; None where that is not
        what the error means. Raises WindowFailedError when it is not the same but for the version."""
        if contract.exact or not any(sign in str(error).lower() for sign in _NOT_SERVED):
            return None
        live = await self._ask_contract(contract.name, "")
        if live.version == contract.version:
            return None
        if msgspec.structs.replace(live, version=contract.version) != contract:
            raise WindowFailedError(f"model {contract.name} takes or gives something else now")
        self._contracts[contract.name, ""] = (asyncio.get_running_loop().time(), live)
        return live

    async def _infer_once(self, contract: ModelContract, images: Sequence[NDArray[np.uint8]]) -> list[Inference]:
        places = self._images
        if places is None:
            return await self._in_flight.answer(self._inferred(contract, images, None))
        # a place for the images is waited for here, where giving up hurts nobody
        slot = await places.place(self._client, images)
        return await self._in_flight.answer(self._inferred(contract, images, slot), lambda: places.leave(slot))

    async def _inferred(
        self, contract: ModelContract, images: Sequence[NDArray[np.uint8]], slot: Slot | None
    ) -> list[Inference]:
        tensor = triton.InferInput("image", [len(images), *images[0].shape], "UINT8")
        if slot is None:
            tensor.set_data_from_numpy(np.stack(images))
        else:
            tensor.set_shared_memory(slot.region, sum(image.nbytes for image in images))
        try:
            result = await self._client.infer(
                contract.name,
                [tensor],
                model_version=contract.version,
                outputs=[triton.InferRequestedOutput("detections")],
                client_timeout=GIVE_UP_SECONDS,
            )
        finally:
            if slot is not None and self._images is not None:
                await self._images.release(self._client, slot)
        rows = result.as_numpy("detections")
        if rows is None or rows.ndim != 3 or rows.shape[0] != len(images) or rows.shape[2] != 6:
            shape = None if rows is None else rows.shape
            raise WindowFailedError(f"model {contract.name} answered with shape {shape}, wanted ({len(images)}, k, 6)")
        version = result.get_response().model_version
        return [Inference(each, version) for each in rows]

    async def _ask_contract(self, model: str, version: str) -> ModelContract:
        return _contract(model, version, *await self._told(model, version))

    async def _ask_scene(self, model: str) -> SceneContract:
        metadata, config = await self._told(model, "")
        return scene_contract(model, _live(metadata.get("versions", []), _parameters(config)), metadata, config)

    async def _told(self, model: str, version: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Metadata and configuration."""
        metadata = await self._client.get_model_metadata(
            model, version, as_json=True, client_timeout=INFER_TIMEOUT_SECONDS
        )
        config = await self._client.get_model_config(model, version, as_json=True, client_timeout=INFER_TIMEOUT_SECONDS)
        return metadata, config["config"]

    async def _patiently(self, model: str, call: Callable[[], Awaitable[T]]) -> T:
        """Repeats with growing, jittered pauses while Triton is away; revives a model whose process has died."""
        pause, tries, loads = 0.05, 0, 0
        while True:
            asked = asyncio.get_running_loop().time()
            try:
                answer = await call()
                self.healthy = True
                return answer
            except (InferenceServerException, grpc.RpcError, TimeoutError, OSError) as error:
                try:
                    loads += await self._judge(model, error, asked, loads)
                except RetryError as retry:
                    self.healthy = False
                    WORKER_RETRIES.labels("triton").inc()
                    tries += 1
                    if tries in (1, 10) or tries % 500 == 0:
                        _log.warning("waiting for triton", model=model, why=str(retry), tries=tries)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, _MAX_PAUSE_SECONDS)

    async def _judge(self, model: str, error: Exception, asked: float, loads: int) -> int:
        """Raises RetryError or WindowFailedError; returns when the cause was mended and the call may be repeated: how
        often the model was loaded for that. `asked`: when, on the loop's clock; `loads`: how often before."""
        text = str(error)
        status = error.status() if isinstance(error, InferenceServerException) else ""
        status = str(status or "").removeprefix("StatusCode.")
        lowered = text.lower()
        if self._images is not None and "shared memory" in lowered:
            # Triton was restarted and has forgotten the region
            self._images.forget()
            raise RetryError("triton", text) from error
        if "stub process" in lowered or status == "DEADLINE_EXCEEDED" or isinstance(error, TimeoutError):
            await self._revive(model, asked)
            raise RetryError("triton", text) from error
        if status == "NOT_FOUND" or any(sign in lowered for sign in _NOT_SERVED):
            await self._load(model)
            if loads >= 3:
                raise NotServedError(f"model {model} is not served: {text}") from error
            return 1
        if status in _RETRIED or not isinstance(error, InferenceServerException):
            raise RetryError("triton", text or type(error).__name__) from error
        raise WindowFailedError(f"model {model}: {text}") from error

    async def _revive(self, model: str, asked: float) -> None:
        """Every health endpoint keeps saying ready after a model's process has died: unload and load it."""
        async with self._loading.setdefault(model, asyncio.Lock()):
            if asked < self._revived.get(model, -math.inf):
                # nothing is known of the process that answers now
                return
            # other workers have noticed at the same moment: one of them is enough
            await asyncio.sleep(random.uniform(0.0, 0.2))
            try:
                if not await self._client.is_model_ready(model, client_timeout=LOAD_SECONDS):
                    return
                _log.warning("model process is dead, loading it again", model=model)
                await self._client.unload_model(model, client_timeout=LOAD_SECONDS)
                await self._client.load_model(model, client_timeout=LOAD_SECONDS)
            except InferenceServerException as error:
                _log.warning("model could not be loaded again", model=model, why=str(error))
            finally:
                self._revived[model] = asyncio.get_running_loop().time()

    async def _load(self, model: str) -> None:
        """Raises WindowFailedError when Triton answers that the model cannot be loaded."""
        async with self._loading.setdefault(model, asyncio.Lock()):
            try:
                if await self._client.is_model_ready(model, client_timeout=LOAD_SECONDS):
                    return
                await self._client.load_model(model, client_timeout=LOAD_SECONDS)
            except InferenceServerException as error:
                status = str(error.status() or "").removeprefix("StatusCode.")
                if status in ("UNAVAILABLE", "DEADLINE_EXCEEDED"):
                    raise RetryError("triton", str(error)) from error
                raise NotServedError(f"model {model} is not served: {error}") from error


def _contract(model: str, version: str, metadata: dict[str, Any], config: dict[str, Any]) -> ModelContract:
    """Raises WindowFailedError when the served model does not follow the detector contract."""
    inputs = {item["name"]: item for item in metadata.get("inputs", [])}
    outputs = {item["name"]: item for item in metadata.get("outputs", [])}
    image, rows = inputs.get("image"), outputs.get("detections")
    if inputs.keys() - BESIDE != {"image"} or image is None or image["datatype"] != "UINT8":
        raise WindowFailedError(
            f"model {model}: wants inputs {sorted(inputs)}, the contract is one UINT8 `image`, or `memory` or `flow` "
            "beside it"
        )
    shape = [int(side) for side in image["shape"]]
    if len(shape) != 4 or shape[3] != 3 or shape[1] < 1 or shape[2] < 1:
        raise WindowFailedError(f"model {model}: input shape {shape}, the contract is [n, height, width, 3]")
    if rows is None or rows["datatype"] != "FP32" or [int(side) for side in rows["shape"]][-1:] != [6]:
        raise WindowFailedError(f"model {model}: output `detections` FP32 [n, k, 6] is missing")
    parameters = _parameters(config)
    labels = tuple(label.strip() for label in parameters.get("labels", "").split(",") if label.strip())
    if not labels:
        raise WindowFailedError(f"model {model}: the configuration has no parameter `labels`")
    contract = ModelContract(
        name=model,
        version=version or _live(metadata.get("versions", []), parameters),
        width=shape[2],
        height=shape[1],
        labels=labels,
        letterbox="center" if parameters.get("letterbox") == "center" else "top_left",
        pad=int(parameters.get("pad") or 114),
        exact=bool(version),
        batch=max(int(config.get("max_batch_size", 0)), 1),
    )
    return with_beside(contract, inputs, outputs, parameters)


def _parameters(config: dict[str, Any]) -> dict[str, str]:
    return {key: value.get("string_value", "") for key, value in config.get("parameters", {}).items()}


def _live(served: list[str], parameters: dict[str, str]) -> str:
    """What config.pbtxt's parameter `live` says; without it the highest, as Triton itself chooses."""
    told = parameters.get("live", "")
    return told if told in served else max(served, key=int, default="1")

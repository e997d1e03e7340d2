"""The detector port on NVIDIA Triton: KServe v2 over gRPC, the image through system shared memory on one host."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import grpc
import numpy as np
import tritonclient.grpc.aio as triton
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from processors.errors import RetryError, WindowFailedError
from processors.ports import ModelContract
from processors.shared_images import SharedImages
from runtime.logging import logger
from runtime.metrics import WORKER_RETRIES

T = TypeVar("T")

INFER_TIMEOUT_SECONDS: Final = 10.0
"""A detector answers within a tenth of this, even on a loaded core. Longer means that a stub is dead or stuck."""

CONTRACT_SECONDS: Final = 30.0
"""How long a model's contract is believed before Triton is asked again."""

_RETRIED: Final = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "CANCELLED", "INTERNAL")

_NOT_LOADED: Final = ("unknown model", "is not ready", "no available versions")

_log = logger("triton")


class TritonDetector:
    """One per process. Waits for Triton as long as it takes; what a model refuses fails its window."""

    def __init__(self, address: str, shared_memory: bool, slots: int = 16) -> None:
        self._client = triton.InferenceServerClient(address)
        self._images = SharedImages(slots) if shared_memory else None
        self._contracts: dict[str, tuple[float, ModelContract]] = {}
        self._loading: dict[str, asyncio.Lock] = {}
        self.healthy = True
        """False while inferences are being repeated"""

    async def stop(self) -> None:
        if self._images is not None:
            await self._images.stop(self._client)
        await self._client.close()

    async def contract(self, model: str) -> ModelContract:
        now = asyncio.get_running_loop().time()
        known = self._contracts.get(model)
        if known is not None and now - known[0] < CONTRACT_SECONDS:
            return known[1]
        contract = await self._patiently(model, lambda: self._ask_contract(model))
        self._contracts[model] = (now, contract)
        return contract

    async def infer(self, contract: ModelContract, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        return await self._patiently(contract.name, lambda: self._infer_once(contract, image))

    async def _infer_once(self, contract: ModelContract, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        wanted = [triton.InferRequestedOutput("detections")]
        tensor = triton.InferInput("image", [1, *image.shape], "UINT8")
        slot = None
        try:
            if self._images is None:
                tensor.set_data_from_numpy(image[np.newaxis])
            else:
                slot = await self._images.place(self._client, image)
                tensor.set_shared_memory(slot.region, image.nbytes, slot.offset)
            result = await self._client.infer(
                contract.name, [tensor], outputs=wanted, client_timeout=INFER_TIMEOUT_SECONDS
            )
        finally:
            if slot is not None and self._images is not None:
                self._images.release(slot)
        rows = result.as_numpy("detections")
        if rows is None or rows.ndim != 3 or rows.shape[0] != 1 or rows.shape[2] != 6:
            shape = None if rows is None else rows.shape
            raise WindowFailedError(f"model {contract.name} answered with shape {shape}, wanted (1, k, 6)")
        answer: NDArray[np.float32] = rows[0]
        return answer

    async def _ask_contract(self, model: str) -> ModelContract:
        metadata = await self._client.get_model_metadata(model, as_json=True, client_timeout=INFER_TIMEOUT_SECONDS)
        config = await self._client.get_model_config(model, as_json=True, client_timeout=INFER_TIMEOUT_SECONDS)
        return _contract(model, metadata, config["config"])

    async def _patiently(self, model: str, call: Callable[[], Awaitable[T]]) -> T:
        """Repeats with growing, jittered pauses while Triton is away; revives a model whose process has died."""
        pause, tries, loads = 0.05, 0, 0
        while True:
            try:
                answer = await call()
                self.healthy = True
                return answer
            except (InferenceServerException, grpc.RpcError, TimeoutError, OSError) as error:
                try:
                    loads += await self._judge(model, error, loads)
                except RetryError as retry:
                    self.healthy = False
                    WORKER_RETRIES.labels("triton").inc()
                    tries += 1
                    if tries in (1, 10) or tries % 100 == 0:
                        _log.warning("waiting for triton", model=model, why=str(retry), tries=tries)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, 2.0)

    async def _judge(self, model: str, error: Exception, loads: int) -> int:
        """Raises RetryError or WindowFailedError; returns when the cause was mended and the call may be repeated: how
        often the model was loaded for that. `loads`: how often before."""
        text = str(error)
        status = error.status() if isinstance(error, InferenceServerException) else ""
        status = str(status or "").removeprefix("StatusCode.")
        lowered = text.lower()
        if self._images is not None and "shared memory" in lowered:
            # Triton was restarted and has forgotten the region
            self._images.forget()
            raise RetryError("triton", text) from error
        if "stub process" in lowered or status == "DEADLINE_EXCEEDED":
            await self._revive(model)
            raise RetryError("triton", text) from error
        if (
            status == "NOT_FOUND"
            or "unknown model" in lowered
            or "is not ready" in lowered
            or "no available versions" in lowered
        ):
            await self._load(model)
            if loads >= 3:
                raise WindowFailedError(f"model {model} is not served: {text}") from error
            return 1
        if status in _RETRIED or not isinstance(error, InferenceServerException):
            raise RetryError("triton", text or type(error).__name__) from error
        raise WindowFailedError(f"model {model}: {text}") from error

    async def _revive(self, model: str) -> None:
        """Every health endpoint keeps saying ready after a model's process has died: unload and load it."""
        lock = self._loading.setdefault(model, asyncio.Lock())
        if lock.locked():
            async with lock:
                return
        async with lock:
            _log.warning("model process is dead, loading it again", model=model)
            try:
                await self._client.unload_model(model)
                await self._client.load_model(model)
            except InferenceServerException as error:
                _log.warning("model could not be loaded again", model=model, why=str(error))

    async def _load(self, model: str) -> None:
        """Raises WindowFailedError when Triton answers that the model cannot be loaded."""
        async with self._loading.setdefault(model, asyncio.Lock()):
            try:
                if await self._client.is_model_ready(model):
                    return
                await self._client.load_model(model)
            except InferenceServerException as error:
                status = str(error.status() or "").removeprefix("StatusCode.")
                if status in ("UNAVAILABLE", "DEADLINE_EXCEEDED"):
                    raise RetryError("triton", str(error)) from error
                raise WindowFailedError(f"model {model} is not served: {error}") from error


def _contract(model: str, metadata: dict[str, Any], config: dict[str, Any]) -> ModelContract:
    """Raises WindowFailedError when the served model does not follow the detector contract."""
    inputs = {item["name"]: item for item in metadata.get("inputs", [])}
    outputs = {item["name"]: item for item in metadata.get("outputs", [])}
    image, rows = inputs.get("image"), outputs.get("detections")
    if len(inputs) != 1 or image is None or image["datatype"] != "UINT8":
        raise WindowFailedError(f"model {model}: wants inputs {sorted(inputs)}, the contract is one UINT8 `image`")
    shape = [int(side) for side in image["shape"]]
    if len(shape) != 4 or shape[3] != 3 or shape[1] < 1 or shape[2] < 1:
        raise WindowFailedError(f"model {model}: input shape {shape}, the contract is [n, height, width, 3]")
    if rows is None or rows["datatype"] != "FP32" or [int(side) for side in rows["shape"]][-1:] != [6]:
        raise WindowFailedError(f"model {model}: output `detections` FP32 [n, k, 6] is missing")
    parameters = {key: value.get("string_value", "") for key, value in config.get("parameters", {}).items()}
    labels = tuple(label.strip() for label in parameters.get("labels", "").split(",") if label.strip())
    if not labels:
        raise WindowFailedError(f"model {model}: the configuration has no parameter `labels`")
    return ModelContract(
        name=model,
        version=str(max((int(version) for version in metadata.get("versions", ["1"])), default=1)),
        width=shape[2],
        height=shape[1],
        labels=labels,
        letterbox="center" if parameters.get("letterbox") == "center" else "top_left",
        pad=int(parameters.get("pad") or 114),
    )

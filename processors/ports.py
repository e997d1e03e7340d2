"""What a session needs from the world. Each port has its fake beside it, for tests and for nothing else."""

from collections.abc import Callable, Sequence
from typing import Final, Literal, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from processors.errors import NotServedError
from schemas.messages import Checkpoint
from schemas.results import Result
from schemas.topics import MAX_RESULT_BYTES

MOST_KEPT_BYTES: Final = MAX_RESULT_BYTES // 4
"""Of a network's state in a checkpoint. There it takes a third more, another network's and all tracks lie beside it,
and a record that Kafka refuses would end the worker, again and again: what keeps more is refused before it is asked."""

Delivered = Callable[[], None]
Beside = NDArray[np.float32] | NDArray[np.int8]
"""what goes into a detector beside the picture: its memory, or flow"""


class ModelContract(msgspec.Struct, frozen=True):
    """A served detector: uint8 RGB [n, height, width, 3] in; rows of x1, y1, x2, y2, score, class out."""

    name: str
    version: str
    width: int
    height: int
    labels: tuple[str, ...]
    letterbox: Literal["top_left", "center"] = "top_left"
    pad: int = 114
    exact: bool = False
    """this version was asked for: no other may answer"""
    batch: int = 1
    """pictures that a request may carry"""
    memory: tuple[int, ...] = ()
    """shape of what it wants back with a camera's next picture, float32; empty: it remembers nothing"""
    flow: tuple[int, ...] = ()
    """shape of the optical flow that it wants beside the picture, int8; empty: none. Never both."""
    fps: float | None = None
    """pictures a second that it has learnt from; None: it sees single pictures"""


class Inference(msgspec.Struct, frozen=True):
    rows: NDArray[np.float32]
    """[k, 6], the best score first, unused rows zero"""
    version: str
    """of the model: the one that has answered"""
    memory: NDArray[np.float32] | None = None
    """what a detector with a memory wants back with the next picture"""


class SceneContract(msgspec.Struct, frozen=True):
    """A served network that remembers: uint8 RGB [n, height, width, 3] and its state in; probabilities of what a scene
    is doing, and the next state, out."""

    name: str
    version: str
    width: int
    height: int
    labels: tuple[str, ...]
    state: int
    """floats in `h`, and as many in `c`"""
    fps: float
    """pictures a second that it wants to see"""
    pad: int = 114


class Observation(msgspec.Struct, frozen=True):
    probabilities: NDArray[np.float32]
    """[labels]"""
    h: NDArray[np.float32]
    c: NDArray[np.float32]
    """[state]"""
    version: str
    """of the model: the one that has answered"""


class Detector(Protocol):
    async def contract(self, model: str, version: str = "") -> ModelContract:
        """Of the live version, or of the one that is named. Raises WindowFailedError when it is not to be had; waits
        while the server does not answer."""
        ...

    async def infer(self, contract: ModelContract, images: Sequence[NDArray[np.uint8]]) -> list[Inference]:
        """images: each [height, width, 3], at most `contract.batch`; one answer for each, in their order. The
        contract's version answers; where that is served no longer the live one does, unless the contract is `exact`.

        Waits while the server does not answer; raises WindowFailedError when the model refuses the input.
        """
        ...

    async def infer_with(self, contract: ModelContract, image: NDArray[np.uint8], beside: Beside) -> Inference:
        """As `infer`, of a detector that takes more than the picture. image: [height, width, 3]; beside: of the shape
        of `contract.memory`, zeros where there is none, or of `contract.flow`."""
        ...

    async def scene(self, model: str) -> SceneContract:
        """Of the live version of a network that says what a scene is doing. Raises and waits as `contract` does."""
        ...

    async def observe(
        self, contract: SceneContract, image: NDArray[np.uint8], h: NDArray[np.float32], c: NDArray[np.float32]
    ) -> Observation:
        """image: [height, width, 3], h and c [state]. Waits and raises as `infer` does."""
        ...


class Publisher(Protocol):
    async def publish(self, message: Result, headers: list[tuple[str, bytes]], delivered: Delivered) -> None:
        """Hands over one result; waits while the buffer is full. `delivered` is called on the loop once the
        log has acknowledged it, and never otherwise."""
        ...

    async def forget_checkpoint(self, camera: str, delivered: Delivered) -> None:
        """Takes a camera's checkpoint away: it will not come back."""
        ...


class Pace(Protocol):
    """How much of a camera this process has time for."""

    def level(self, camera: str) -> int:
        """Of the GOP that begins now: 0 all of it, else an index of `shedding.STRIDES`, or KEYFRAMES_ONLY."""
        ...

    def done(self, camera: str, record: tuple[str, int, int], received_ns: int, priority: int, objects: int) -> None:
        """A frame of it has just come out. `record`: its topic, partition, offset."""
        ...


class FullPace:
    """All of everything, however long it takes: uploads, replays."""

    def level(self, camera: str) -> int:
        return 0

    def done(self, camera: str, record: tuple[str, int, int], received_ns: int, priority: int, objects: int) -> None:
        pass


class FakePace(FullPace):
    """Levels as told, one a GOP; then 0. Keeps what was done."""

    def __init__(self, *levels: int) -> None:
        self._levels = list(levels)
        self.done_offsets: list[int] = []

    def level(self, camera: str) -> int:
        return self._levels.pop(0) if self._levels else 0

    def done(self, camera: str, record: tuple[str, int, int], received_ns: int, priority: int, objects: int) -> None:
        self.done_offsets.append(record[2])


class FakeDetector:
    """Answers from a function of the image. `failures` are raised first, one a call. `live` may be changed at any time,
    `served` are the versions that still answer."""

    def __init__(
        self,
        contract: ModelContract,
        answer: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
        failures: list[Exception] | None = None,
    ) -> None:
        self._contract = contract
        self._answer = answer
        self._failures = failures or []
        self.live = contract.version
        self.served = {contract.version}
        self.calls = 0
        self.with_beside: Callable[..., tuple[NDArray[np.float32], NDArray[np.float32] | None]] | None = None
        """of a detector that takes more than the picture: (image, beside) to rows and the next memory"""
        self.watching: tuple[SceneContract, Callable[..., Observation]] | None = None
        """a network that looks at scenes, and its answer to (image, h, c)"""

    async def contract(self, model: str, version: str = "") -> ModelContract:
        if model != self._contract.name or (version and version not in self.served):
            raise NotServedError(f"model {' '.join((model, version)).strip()} is not served")
        return msgspec.structs.replace(self._contract, version=version or self.live, exact=bool(version))

    async def infer(self, contract: ModelContract, images: Sequence[NDArray[np.uint8]]) -> list[Inference]:
        assert 0 < len(images) <= contract.batch
        self.calls += 1
        if self._failures:
            raise self._failures.pop(0)
        if contract.exact and contract.version not in self.served:
            raise NotServedError(f"model {contract.name} {contract.version} is not served")
        version = contract.version if contract.version in self.served else self.live
        return [Inference(self._answer(image), version) for image in images]

    async def infer_with(self, contract: ModelContract, image: NDArray[np.uint8], beside: Beside) -> Inference:
        assert self.with_beside is not None
        assert beside.shape == (contract.flow or contract.memory)
        self.calls += 1
        if self._failures:
            raise self._failures.pop(0)
        rows, kept = self.with_beside(image, beside)
        return Inference(rows, contract.version if contract.version in self.served else self.live, kept)

    async def scene(self, model: str) -> SceneContract:
        if self.watching is None or self.watching[0].name != model:
            raise NotServedError(f"model {model} is not served")
        return self.watching[0]

    async def observe(
        self, contract: SceneContract, image: NDArray[np.uint8], h: NDArray[np.float32], c: NDArray[np.float32]
    ) -> Observation:
        assert self.watching is not None
        return self.watching[1](image, h, c)


class FakePublisher:
    """Keeps what was published. What is of a kind in `hold` is acknowledged only when `release` is called."""

    def __init__(self, hold: tuple[type[Result], ...] = ()) -> None:
        self.messages: list[Result] = []
        self.checkpoints: dict[str, Checkpoint] = {}
        self._hold = hold
        self._waiting: list[Delivered] = []

    async def publish(self, message: Result, headers: list[tuple[str, bytes]], delivered: Delivered) -> None:
        self.messages.append(message)
        if isinstance(message, Checkpoint):
            self.checkpoints[message.camera] = message
        if isinstance(message, self._hold):
            self._waiting.append(delivered)
        else:
            delivered()

    async def forget_checkpoint(self, camera: str, delivered: Delivered) -> None:
        self.checkpoints.pop(camera, None)
        delivered()

    def release(self) -> None:
        self._hold = ()
        waiting, self._waiting = self._waiting, []
        for delivered in waiting:
            delivered()

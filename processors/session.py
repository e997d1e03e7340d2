"""One camera's walk over its records: decode, infer, step, publish, checkpoint.

Three tasks overlap, each in record order: the reader decodes and starts inferences, the stepper takes their answers in
presentation order through the chain, the closer waits for acknowledgements and writes checkpoints. Data goes one way.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from processors.chain import STATE_VERSION, Chain, ChainState
from processors.decoding import GopReader, Prepared, Reading
from processors.errors import WindowFailedError
from processors.ports import Detector, FullPace, Inference, ModelContract, Pace, Publisher, SceneContract
from processors.probation import Probation
from processors.stepping import (
    Answer,
    Close,
    Closed,
    Due,
    Ending,
    FrameItem,
    GapItem,
    Mark,
    Origin,
    Reconfigure,
    SessionState,
    Shed,
    Stepper,
    Work,
)
from processors.turns import Turns
from processors.window import Acknowledgements, Window
from schemas.messages import AccessUnit, Checkpoint, End, Gap, LogRecord
from schemas.results import Result
from vision.decoder import CorruptAccessUnit

QUEUE_RECORDS: Final = 64
"""Records of one camera that wait for its decoder. At 30 fps and 50 KB that is two seconds and 3 MB."""


@dataclass(frozen=True)
class SessionPorts:
    detector: Detector
    publisher: Publisher
    threads: Executor
    clock: Callable[[], int]
    """wall-clock in ns; for the `timing` header only, never for a result"""
    frames_in_flight: int = 3
    turns: Turns = field(default_factory=Turns)
    pace: Pace = field(default_factory=FullPace)
    named: Callable[[str, int], str] = lambda model, captured_ns: ""
    """the version of a model that a frame's first results name; empty: whichever is live now"""


@dataclass(frozen=True)
class Malformed:
    """A record of this camera that breaks the wire format."""

    why: str


@dataclass(frozen=True)
class _Idle:
    """The partition moved on without this camera: close what is open."""


class CameraSession:
    """`checkpointed(offset)` is called when everything below is published and saved; `ended()` after a source's end."""

    def __init__(
        self,
        camera: str,
        topic: str,
        partition: int,
        ports: SessionPorts,
        checkpointed: Callable[[int], None],
        ended: Callable[[], None],
        restored: Checkpoint | None = None,
    ) -> None:
        self.camera, self.topic, self.partition = camera, topic, partition
        self._ports = ports
        self._checkpointed, self._ended = checkpointed, ended
        self._records: asyncio.Queue[tuple[int, LogRecord | Malformed | _Idle, int]] = asyncio.Queue(QUEUE_RECORDS)
        self._work: asyncio.Queue[Work] = asyncio.Queue(2 * ports.frames_in_flight + 2)
        self._closed: asyncio.Queue[Closed] = asyncio.Queue(64)
        self._slots = asyncio.Semaphore(ports.frames_in_flight)
        self._window: Window | None = None
        self._reader: GopReader | None = None
        self._decoded: list[FrameItem] = []
        """not asked about yet"""
        self._chain: Chain | None = None
        self._contract: ModelContract | None = None
        self._scene: SceneContract | None = None
        self._analysis: bytes = b""
        self._reading = Reading()
        self._traceless = restored is None
        """nothing in the log says that this camera's first GOP was begun"""
        self._probation = Probation(restored, self._publish_and_wait, ports.turns)
        self.cold_start = ""
        """why a checkpoint was there and could not be used; empty otherwise"""
        chain_state = self._restore(restored) if restored is not None else None
        self._cold_unsaid = self.cold_start
        self._stepper = Stepper(
            camera, ports.publisher, ports.clock, ports.pace, ports.detector, self._chain, chain_state
        )

    @property
    def poison(self) -> str:
        """Why the first GOP will be passed over; empty: it will not."""
        return self._probation.poison

    @property
    def drained(self) -> bool:
        """Nothing waits in a queue. What is being worked on may still be under way."""
        return self._records.empty() and self._work.empty() and self._closed.empty()

    async def put(self, offset: int, record: LogRecord | Malformed, received_ns: int) -> None:
        """Waits while the queue is full."""
        await self._records.put((offset, record, received_ns))

    async def idle(self, offset: int, received_ns: int) -> None:
        await self._records.put((offset, _Idle(), received_ns))

    async def hand_over(self) -> None:
        """The partition may go to another worker: this one will not have died of what is under way."""
        await self._probation.withdraw()

    async def run(self) -> None:
        """Until cancelled, or until an end record is done. Raises what is not to be survived."""
        try:
            async with asyncio.TaskGroup() as tasks:
                reading = tasks.create_task(self._read())
                stepping = tasks.create_task(self._stepper.run(self._work, self._closed))
                await self._close()
                reading.cancel()
                stepping.cancel()
        except asyncio.CancelledError:
            self._probation.leave()
            raise
        # after a crash nobody else begins: the process ends, and it would count against them
        self._probation.leave()

    # --- reading: records in, decoded frames with their inference under way out -------------------------------------

    async def _read(self) -> None:
        while True:
            if self._records.empty():
                # company is not waited for: only what came together is asked about together
                await self._infer()
                await self._probation.pause()
            offset, record, received_ns = await self._records.get()
            match record:
                case AccessUnit():
                    await self._access_unit(offset, record, received_ns)
                case Gap():
                    await self._close_window(offset, received_ns)
                    await self._pass_on(GapItem(record, self._origin(offset)))
                case End():
                    await self._close_window(offset, received_ns)
                    if self._chain is None and record.analysis:
                        await self._configure(offset, record.analysis, record.captured_ns)
                    await self._pass_on(Ending(record, self._origin(offset)))
                case Malformed():
                    self._malformed(offset, record)
                case _Idle():
                    await self._close_window(offset, received_ns)
                    await self._pass_on(Mark(offset, self._reading))

    async def _access_unit(self, offset: int, unit: AccessUnit, received_ns: int) -> None:
        if unit.keyframe:
            await self._close_window(offset, received_ns)
            await self._open_window(offset, unit)
        elif self._window is None or (self._window.session, self._window.gop) != (unit.session, unit.gop):
            await self._close_window(offset, received_ns)
            self._window = self._new_window(offset, unit)
            self._window.damage = "no keyframe in front of it"
        window = self._window
        assert window is not None
        expected = window.consumed
        window.take(unit.index, offset)
        if not window.damage and unit.index != expected:
            window.damage = f"access unit {expected} of the GOP is missing"
        if window.damage or self._reader is None:
            return
        # a refusal by the model does not stop decoding: where sampling goes on must not depend on when it came
        await self._decode(window, lambda reader: reader.read(unit), received_ns)

    def _malformed(self, offset: int, record: Malformed) -> None:
        """Whatever it was, the GOP around it cannot be decoded further."""
        if self._window is None:
            self._window = Window(self.camera, "", -1, 0, self.topic, self.partition, offset, offset)
        window = self._window
        window.consumed += 1
        window.last_offset = offset
        window.damage = window.damage or f"malformed record: {record.why}"

    async def _decode(self, window: Window, call: Callable[[GopReader], list[Prepared]], received_ns: int) -> None:
        reader = self._reader
        assert reader is not None
        taken_ns = self._ports.clock()
        try:
            async with self._probation.decoding():
                frames = await asyncio.get_running_loop().run_in_executor(self._ports.threads, call, reader)
        except CorruptAccessUnit as error:
            window.damage = str(error)
            reader.abandon()
            return
        decoded_ns = self._ports.clock()
        self._decoded += [FrameItem(window, frame, received_ns, taken_ns, decoded_ns) for frame in frames]
        if sum(item.frame.image is not None for item in self._decoded) >= self._ports.frames_in_flight:
            await self._infer()

    async def _infer(self) -> None:
        """What is decoded goes to the stepper, its inference under way: in one request what one may carry."""
        decoded, self._decoded = self._decoded, []
        sampled = [item.frame for item in decoded if item.frame.image is not None]
        answers: list[Answer | Due] = []
        for contract, frames in groupby(sampled, self._asked):
            if contract.memory or contract.flow:
                answers += [Due(contract) for _ in frames]
                continue
            images = [frame.image for frame in frames if frame.image is not None]
            most = min(contract.batch, self._ports.frames_in_flight)
            for first in range(0, len(images), most):
                answers += await self._ask(contract, images[first : first + most])
        remaining = iter(answers)
        for item in decoded:
            await self._work.put(item if item.frame.image is None else replace(item, answer=next(remaining)))

    async def _ask(self, contract: ModelContract, images: Sequence[NDArray[np.uint8]]) -> list[Answer]:
        for _ in images:
            await self._slots.acquire()
        request = asyncio.create_task(self._ports.detector.infer(contract, images))
        request.add_done_callback(lambda request: self._answered(request, len(images)))
        return [Answer(request, place) for place in range(len(images))]

    def _answered(self, request: asyncio.Task[list[Inference]], images: int) -> None:
        for _ in range(images):
            self._slots.release()
        if not request.cancelled():
            # who would ask may be gone by now
            request.exception()

    def _asked(self, frame: Prepared) -> ModelContract:
        assert self._contract is not None
        named = self._ports.named(self._contract.name, frame.captured_ns)
        if not named:
            return self._contract
        # versions of a model differ in nothing else; a GOP that was under way while they changed has two
        return msgspec.structs.replace(self._contract, version=named, exact=True)

    async def _pass_on(self, work: Work) -> None:
        """In order: behind what was decoded before it."""
        await self._infer()
        await self._work.put(work)

    async def _open_window(self, offset: int, unit: AccessUnit) -> None:
        window = self._window = self._new_window(offset, unit)
        if self._probation.poison:
            window.damage = self._probation.poison
            return
        if self._traceless:
            self._traceless = False
            await self._publish_and_wait(self._checkpoint(offset, ""))
        await self._probation.begin()
        assert unit.analysis is not None
        # at every keyframe: another version of the model may be live by now
        refusal = await self._configure(offset, unit.analysis, unit.captured_ns)
        if refusal:
            window.refusal = refusal
            return
        assert self._reader is not None
        window.level = self._ports.pace.level(self.camera)
        if window.level:
            await self._pass_on(Shed(window, self._reading))
        self._reader.open(unit, window.level)

    async def _configure(self, offset: int, analysis: bytes, captured_ns: int) -> str:
        """Makes the keyframe's analysis and its model's version the current ones. Returns why that is not possible;
        empty when it was."""
        try:
            chain = self._chain if analysis == self._analysis and self._chain else Chain(self.camera, analysis)
        except msgspec.DecodeError as error:
            self._analysis, self._reader, self._contract = b"", None, None
            return f"the keyframe's analysis is not valid: {error}"
        changed = chain is not self._chain
        if changed:
            await self._pass_on(Reconfigure(chain, self._origin(offset)))
        self._chain, self._analysis = chain, analysis
        try:
            named = self._ports.named(chain.analysis.model, captured_ns)
            contract = await self._ports.detector.contract(chain.analysis.model, named)
            watch = chain.analysis.activity
            scene = None if watch is msgspec.UNSET else await self._ports.detector.scene(watch.model)
        except WindowFailedError as error:
            self._reader, self._contract = None, None
            return str(error)
        if (contract, scene) == (self._contract, self._scene) and self._reader is not None and not changed:
            return ""
        self._contract, self._scene = contract, scene
        self._reader = GopReader(chain.analysis, contract, self._reading, scene)
        await self._pass_on(contract)
        if scene is not None:
            await self._pass_on(scene)
        return ""

    def _origin(self, offset: int) -> Origin:
        return Origin(self.topic, self.partition, offset)

    def _new_window(self, offset: int, unit: AccessUnit) -> Window:
        cold, self._cold_unsaid = self._cold_unsaid, ""
        return Window(
            cold=cold,
            camera=self.camera,
            session=unit.session,
            gop=unit.gop,
            captured_ns=unit.captured_ns,
            topic=self.topic,
            partition=self.partition,
            keyframe_offset=offset,
            last_offset=offset,
            traceparent=unit.traceparent,
        )

    async def _close_window(self, resume_offset: int, received_ns: int) -> None:
        window, self._window = self._window, None
        if window is None:
            return
        if self._reader is not None and not window.damage:
            await self._decode(window, lambda reader: reader.close(), received_ns)
        if self._reader is not None:
            window.undecodable = self._reader.undecodable
            self._reader.abandon()
            self._reading = self._reader.reading
        await self._pass_on(Close(window, resume_offset, self._reading))
        await self._probation.over()

    # --- closing: acknowledgements awaited in order, checkpoints written ----------------------------------------------

    async def _close(self) -> None:
        while True:
            closed = await self._closed.get()
            await closed.acks.all_delivered()
            if closed.end is not None:
                await self._publish_and_wait(closed.end)
                # another camera may still hold the partition's offset in front of the end
                await self._publish_and_wait(self._checkpoint(closed.resume_offset, "", ended=True))
                self._ended()
                return
            if closed.state is None:
                continue
            self._probation.passing()
            await self._publish_and_wait(self._checkpoint(closed.resume_offset, closed.state))
            self._probation.passed()
            self._checkpointed(closed.resume_offset)

    def _checkpoint(self, offset: int, state: str, ended: bool = False) -> Checkpoint:
        return Checkpoint(
            camera=self.camera,
            topic=self.topic,
            partition=self.partition,
            offset=offset,
            state_version=STATE_VERSION,
            state=state,
            ledger={},
            ended=ended,
        )

    async def _publish_and_wait(self, message: Result) -> None:
        acks = Acknowledgements()
        acks.sent()
        await self._ports.publisher.publish(message, [], acks.delivered)
        await acks.all_delivered()

    def _restore(self, checkpoint: Checkpoint) -> ChainState | None:
        if checkpoint.state_version != STATE_VERSION:
            self.cold_start = f"state version {checkpoint.state_version}, this worker writes {STATE_VERSION}"
            return None
        if not checkpoint.state:
            return None
        try:
            saved = msgspec.json.decode(checkpoint.state, type=SessionState)
            chain = Chain(self.camera, saved.analysis.encode())
            state = chain.load(bytes(saved.chain).decode())
            saved.reading.check()
        except (msgspec.DecodeError, ValueError) as error:
            self.cold_start = f"the checkpoint's state cannot be read: {error}"
            return None
        self._chain, self._analysis, self._reading = chain, saved.analysis.encode(), saved.reading
        return state

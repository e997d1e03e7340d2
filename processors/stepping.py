"""The stepper of a session: answers of the detector in presentation order through the chain to the log."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from processors.chain import MEMORY_NS, Chain, ChainState, Inferred, Watched, event_id
from processors.decoding import Prepared, Reading
from processors.errors import WindowFailedError
from processors.ports import Detector, Inference, ModelContract, Pace, Publisher, SceneContract
from processors.window import Acknowledgements, Window
from runtime.metrics import WORKER_EVENTS, WORKER_FRAMES, WORKER_MODEL, WORKER_SHED_FRAMES, WORKER_STAGE
from schemas.messages import Detections, End, EndLedger, Event, Gap, Provenance
from schemas.results import Result, headers_of
from vision import activity
from vision.boxes import from_output
from vision.letterbox import Letterbox
from vision.memory import recalled, remembered
from vision.optical_flow import Kept


@dataclass(frozen=True)
class Answer:
    """One picture's of a request that carries several."""

    request: asyncio.Task[list[Inference]]
    place: int

    async def inference(self) -> Inference:
        """Raises WindowFailedError."""
        return (await self.request)[self.place]


@dataclass(frozen=True)
class Due:
    """Of a detector that takes more than the picture: it is asked when the answer before this one is there, which may
    hold what it remembers."""

    contract: ModelContract


class SessionState(msgspec.Struct, frozen=True):
    """What a checkpoint holds besides its offset."""

    analysis: str
    bucket: int | None
    chain: msgspec.Raw
    moving: Kept | UnsetType = UNSET

    @property
    def reading(self) -> Reading:
        return Reading(self.bucket, self.moving)


@dataclass(frozen=True)
class FrameItem:
    window: Window
    frame: Prepared
    received_ns: int
    taken_ns: int
    decoded_ns: int
    answer: Answer | Due | None = None
    """None: the frame is not sampled"""


@dataclass(frozen=True)
class Origin:
    """The record that made something happen without a frame: a gap, an end, a keyframe with a new configuration."""

    topic: str
    partition: int
    offset: int

    def provenance(self, model: str = "", config: str = "") -> Provenance:
        return Provenance(
            self.topic,
            self.partition,
            self.offset,
            self.offset,
            self.offset,
            model=model,
            model_version="",
            config=config,
        )


@dataclass(frozen=True)
class Reconfigure:
    chain: Chain
    origin: Origin


@dataclass(frozen=True)
class GapItem:
    gap: Gap
    origin: Origin


@dataclass(frozen=True)
class Shed:
    """Of the window that opens now, frames will be left out."""

    window: Window
    reading: Reading


@dataclass(frozen=True)
class Close:
    window: Window
    resume_offset: int
    reading: Reading


@dataclass(frozen=True)
class Mark:
    """Nothing is open: the state as it is may be saved for a resume at this offset."""

    resume_offset: int
    reading: Reading


@dataclass(frozen=True)
class Ending:
    end: End
    origin: Origin


_SECONDS_OF: Final = {
    stage: WORKER_STAGE.labels(stage) for stage in ("transport", "queue", "decode", "infer", "step", "worker", "total")
}
"""looked up once: a frame has one observation of each"""

Work = FrameItem | Reconfigure | ModelContract | SceneContract | Shed | Close | Mark | GapItem | Ending


@dataclass(frozen=True)
class Closed:
    """For the closer: once `acks` are in, the checkpoint may be written, or the end be told."""

    acks: Acknowledgements
    resume_offset: int = 0
    state: str | None = None
    end: EndLedger | None = None


class Stepper:
    def __init__(
        self,
        camera: str,
        publisher: Publisher,
        clock: Callable[[], int],
        pace: Pace,
        detector: Detector,
        chain: Chain | None,
        state: ChainState | None,
    ) -> None:
        self.camera = camera
        self._detector = detector
        self._publisher = publisher
        self._clock = clock
        self._pace = pace
        self._chain = chain
        self._state = state if state is not None else (chain.initial() if chain is not None else None)
        self._contract: ModelContract | None = None
        self._scene: SceneContract | None = None
        self._letterbox: Letterbox | None = None
        self._loose = Acknowledgements()
        """of what belongs to no GOP: rows closed by a change of configuration, gap events"""
        self._doubted_ns: int | None = None
        """capture time up to which the state may be that of a run that left something out"""

    async def run(self, work: "asyncio.Queue[Work]", closed: "asyncio.Queue[Closed]") -> None:
        while True:
            item = await work.get()
            match item:
                case FrameItem():
                    await self._frame(item)
                case ModelContract():
                    self._contract = item
                    self._letterbox = Letterbox(item.width, item.height, item.letterbox, item.pad)
                case SceneContract():
                    self._scene = item
                case Reconfigure():
                    await self._finish_flow(item.origin)
                    self._chain, self._state = item.chain, item.chain.initial()
                case GapItem():
                    await self._gap(item.gap, item.origin)
                case Shed():
                    await self._say(item)
                case Close():
                    await self._close(item, closed)
                case Mark():
                    loose, self._loose = self._loose, Acknowledgements()
                    await closed.put(Closed(loose, item.resume_offset, self._saved(item.reading)))
                case Ending():
                    await self._finish_flow(item.origin)
                    await closed.put(Closed(self._loose))
                    told = item.end
                    end = EndLedger(self.camera, told.session, told.published, told.error, told.captured_ns)
                    await closed.put(Closed(Acknowledgements(), item.origin.offset + 1, end=end))

    async def _frame(self, item: FrameItem) -> None:
        window, frame = item.window, item.frame
        if item.answer is None:
            if not window.refusal:
                window.skipped += 1
                WORKER_FRAMES.labels(self.camera, "skipped").inc()
                if frame.shed:
                    WORKER_SHED_FRAMES.labels(self.camera).inc()
            return
        try:
            answer = await self._answer(item.answer, window, frame)
        except WindowFailedError as error:
            window.refusal = window.refusal or str(error)
            return
        if window.refusal or answer is None:
            return
        inferred_ns = self._clock()
        assert self._chain is not None
        assert self._state is not None
        assert self._contract is not None
        assert self._letterbox is not None
        analysis = self._chain.analysis
        provenance = window.provenance(frame.index, self._contract.name, answer.version, self._chain.config)
        try:
            boxes = from_output(
                answer.rows,
                self._contract.labels,
                self._letterbox,
                frame.width,
                frame.height,
                analysis.min_score,
                analysis.labels,
            )
        except ValueError as error:
            window.refusal = f"model {self._contract.name}: {error}"
            return
        try:
            watched = await self._watched(self._state, frame)
        except WindowFailedError as error:
            window.refusal = str(error)
            return
        self._state, outputs = self._chain.step(
            self._state,
            Inferred(
                captured_ns=frame.captured_ns,
                session=window.session,
                gop=window.gop,
                pts=frame.pts,
                width=frame.width,
                height=frame.height,
                boxes=boxes,
                signals=frame.signals,
                provenance=provenance,
                watched=watched,
                memory=UNSET if answer.memory is None else remembered(answer.memory, frame.captured_ns),
            ),
        )
        window.inferred += 1
        WORKER_FRAMES.labels(self.camera, "inferred").inc()
        WORKER_MODEL.labels(self._contract.name, answer.version).observe(max(inferred_ns - item.decoded_ns, 0) / 1e9)
        timing = self._timing(item, inferred_ns)
        record = window.topic, window.partition, provenance.last_offset
        self._pace.done(self.camera, record, item.received_ns, analysis.priority or 0, len(boxes))
        for output in outputs:
            if isinstance(output, Event):
                WORKER_EVENTS.labels(self.camera, output.kind).inc()
            extra = [("timing", timing)] if isinstance(output, Detections | Event) else []
            await self._publish(output, window.acks, window.traceparent, extra)

    async def _answer(self, asked: Answer | Due, window: Window, frame: Prepared) -> Inference | None:
        """None: nobody wants it any more. Raises WindowFailedError."""
        if isinstance(asked, Answer):
            return await asked.inference()
        if window.refusal:
            return None
        assert self._state is not None
        assert frame.image is not None
        if frame.flow is not None:
            return await self._detector.infer_with(asked.contract, frame.image, frame.flow)
        kept = None if self._state.memory is UNSET else self._state.memory
        memory = recalled(kept, frame.captured_ns, asked.contract.memory)
        return await self._detector.infer_with(asked.contract, frame.image, memory)

    async def _watched(self, state: ChainState, frame: Prepared) -> Watched | None:
        """One after the other: each answer takes the state that the one before it left. Raises WindowFailedError."""
        scene = self._scene
        kept = state.activity
        if frame.scene is None or scene is None or kept is UNSET:
            return None
        if not activity.due(kept, frame.captured_ns, scene.fps):
            return None
        h, c = activity.memory(kept, frame.captured_ns, scene.state)
        said = await self._detector.observe(scene, frame.scene, h, c)
        answer = activity.Answer(frame.captured_ns, said.probabilities, said.h, said.c)
        return Watched(answer, scene.labels, scene.name, said.version)

    def _timing(self, item: FrameItem, inferred_ns: int) -> bytes:
        """Milliseconds by stage. `total` is capture to publication."""
        now_ns = self._clock()
        stages = {
            "transport": item.received_ns - item.frame.captured_ns,
            "queue": item.taken_ns - item.received_ns,
            "decode": item.decoded_ns - item.taken_ns,
            "infer": inferred_ns - item.decoded_ns,
            "step": now_ns - inferred_ns,
            "worker": now_ns - item.received_ns,
            "total": now_ns - item.frame.captured_ns,
        }
        for stage, ns in stages.items():
            _SECONDS_OF[stage].observe(max(ns, 0) / 1e9)
        return msgspec.json.encode({stage: round(ns / 1e6, 2) for stage, ns in stages.items()})

    async def _gap(self, gap: Gap, origin: Origin) -> None:
        event = Event(
            id=event_id(self.camera, "gap", gap.session, "", gap.from_ns),
            camera=self.camera,
            kind="gap",
            rule="",
            captured_ns=gap.to_ns,
            track=None,
            label=None,
            box=None,
            details={"reason": gap.reason, "from_ns": gap.from_ns, "to_ns": gap.to_ns, "lost": gap.lost},
            provenance=origin.provenance(),
        )
        WORKER_EVENTS.labels(self.camera, "gap").inc()
        await self._publish(event, self._loose, None, [])

    async def _finish_flow(self, origin: Origin) -> None:
        """What is still being counted goes out: the source has ended, or the configuration changes."""
        if self._chain is None or self._state is None:
            return
        provenance = origin.provenance(self._chain.analysis.model, self._chain.config)
        self._state, rows = self._chain.close(self._state, provenance)
        for row in rows:
            await self._publish(row, self._loose, None, [])

    async def _say(self, item: Shed) -> None:
        """In advance: whatever becomes of this process, no result of such a GOP stands without it."""
        window = item.window
        doubted_ns = self._doubted_ns if self._doubted_ns is not None else window.captured_ns
        in_doubt = window.captured_ns - doubted_ns <= MEMORY_NS
        self._doubted_ns = window.captured_ns
        said = Acknowledgements()
        await self._publish(window.shed_window("" if in_doubt else self._saved(item.reading)), said, None, [])
        await said.all_delivered()

    async def _close(self, item: Close, closed: "asyncio.Queue[Closed]") -> None:
        window = item.window
        if self._doubted_ns is None:
            self._doubted_ns = window.captured_ns
        ledger = window.ledger()
        if ledger.failed:
            WORKER_FRAMES.labels(self.camera, "failed").inc(ledger.failed)
        WORKER_FRAMES.labels(self.camera, "decoded").inc(ledger.decoded)
        await self._publish(ledger, window.acks, window.traceparent, [])
        if window.reason:
            await self._publish(window.failed_window(), window.acks, window.traceparent, [])
        loose, self._loose = self._loose, Acknowledgements()
        await closed.put(Closed(loose))
        await closed.put(Closed(window.acks, item.resume_offset, self._saved(item.reading)))

    def _saved(self, reading: Reading) -> str:
        if self._chain is None or self._state is None:
            return ""
        state = SessionState(
            analysis=self._chain.analysis_json.decode(),
            bucket=reading.bucket,
            chain=msgspec.Raw(self._chain.save(self._state).encode()),
            moving=reading.moving,
        )
        return msgspec.json.encode(state).decode()

    async def _publish(
        self, message: Result, acks: Acknowledgements, traceparent: str | None, extra: list[tuple[str, bytes]]
    ) -> None:
        acks.sent()
        await self._publisher.publish(message, [*headers_of(message, traceparent), *extra], acks.delivered)

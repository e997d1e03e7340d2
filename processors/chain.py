"""The composition of one camera's pure steps: track, rules, flow. State in, state and results out."""

import uuid
from typing import Any, Final

import msgspec

from schemas.analysis import Analysis, LineRule, RedLightRule, ZoneRule
from schemas.messages import Box, Detections, Event, Flow, Provenance
from schemas.results import config_hash
from vision import activity, flow, tracker, trajectories
from vision.activity import State as ActivityState
from vision.geometry import homography
from vision.memory import Memory
from vision.rules import line, red_light, zone
from vision.scene import Fact, Scene

STATE_VERSION: Final = 2
"""Rises when a checkpoint's state changes shape; an older one is then not restored but started cold."""

MEMORY_NS: Final = 90_000_000_000
"""how far back a state usually knows something: a minute that is being counted, tracks and lights of half a minute.
Where it must be exact, states are compared."""

EVENT_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "urn:rewatch:event")

_STEPS: Final[dict[type[Any], Any]] = {LineRule: line, ZoneRule: zone, RedLightRule: red_light}

Output = Detections | Event | Flow


class Watched(msgspec.Struct, frozen=True):
    """What the network that looks at scenes has said of a frame."""

    answer: activity.Answer
    labels: tuple[str, ...]
    model: str
    version: str


class Inferred(msgspec.Struct, frozen=True):
    """One frame after the detector: what the steps see."""

    captured_ns: int
    session: str
    gop: int
    pts: int
    width: int
    height: int
    boxes: tuple[Box, ...]
    signals: dict[str, str]
    provenance: Provenance
    watched: Watched | None = None
    """None: it was not asked about this one"""
    memory: Memory | msgspec.UnsetType = msgspec.UNSET
    """of a detector that has one: what it wants back with the next frame"""


class ChainState(msgspec.Struct, frozen=True):
    tracker: tracker.TrackerState
    trajectories: trajectories.State
    rules: tuple[Any, ...]
    """one state per rule, in the configuration's order"""
    flow: flow.FlowState
    activity: ActivityState | msgspec.UnsetType = msgspec.UNSET
    """unset where the analysis does not ask for it"""
    memory: Memory | msgspec.UnsetType = msgspec.UNSET
    """unset where the detector has none"""


class Chain:
    """Holds the configuration and nothing else; one object serves every state of a camera."""

    def __init__(self, camera: str, analysis_json: bytes) -> None:
        """Raises msgspec.ValidationError when the keyframe's analysis is not one."""
        self.camera = camera
        self.analysis_json = analysis_json
        self.analysis = msgspec.json.decode(analysis_json, type=Analysis)
        self.config = config_hash(analysis_json)
        self._steps = [(rule, _STEPS[type(rule)]) for rule in self.analysis.rules]
        try:
            self._ground = homography(self.analysis.ground)
        except ValueError as error:
            raise msgspec.ValidationError(str(error)) from error
        self._counted = {rule.name for rule in self.analysis.rules if isinstance(rule, LineRule)}

    def initial(self) -> ChainState:
        return ChainState(
            tracker.initial(),
            trajectories.initial(),
            tuple(step.initial() for _, step in self._steps),
            flow.initial(),
            msgspec.UNSET if self.analysis.activity is msgspec.UNSET else activity.initial(),
        )

    def step(self, state: ChainState, frame: Inferred) -> tuple[ChainState, tuple[Output, ...]]:
        """Frames come in the order of capture."""
        tracked_state, boxes = tracker.step(
            state.tracker, frame.boxes, frame.captured_ns, self.camera, self.analysis.tracking
        )
        scene = Scene(
            camera=self.camera,
            captured_ns=frame.captured_ns,
            width=frame.width,
            height=frame.height,
            boxes=boxes,
            signals=frame.signals,
            earlier=tracker.earlier(tracked_state, self.analysis.tracking),
            ground=self._ground,
        )
        trajectory_state, scene = trajectories.step(state.trajectories, scene)
        rule_states, facts = self._apply_rules(state.rules, scene)
        counted = tuple(fact for fact in facts if fact.kind == "line_crossed" and fact.rule in self._counted)
        flow_state, rows = flow.step(state.flow, counted, frame.captured_ns)
        watched_state, changes = self._watch(state.activity, frame)
        detections = Detections(
            camera=self.camera,
            captured_ns=frame.captured_ns,
            session=frame.session,
            gop=frame.gop,
            pts=frame.pts,
            width=frame.width,
            height=frame.height,
            boxes=boxes,
            signals=frame.signals,
            provenance=frame.provenance,
        )
        outputs: tuple[Output, ...] = (
            detections,
            *(self._event(fact, frame.provenance) for fact in facts),
            *changes,
            *(self._flow(row, frame.provenance) for row in rows),
        )
        after = ChainState(tracked_state, trajectory_state, rule_states, flow_state, watched_state, frame.memory)
        return after, outputs

    def close(self, state: ChainState, provenance: Provenance) -> tuple[ChainState, tuple[Flow, ...]]:
        """The source has ended or the configuration changes: what is still being counted goes out."""
        rows = flow.close(state.flow)
        return msgspec.structs.replace(state, flow=flow.initial()), tuple(self._flow(row, provenance) for row in rows)

    def save(self, state: ChainState) -> str:
        return msgspec.json.encode(state, order="deterministic").decode()

    def load(self, saved: str) -> ChainState:
        """Raises msgspec.DecodeError when the text is no state of this chain."""
        raw = msgspec.json.decode(saved, type=_SavedState)
        if len(raw.rules) != len(self._steps):
            raise msgspec.DecodeError(f"{len(raw.rules)} rule states for {len(self._steps)} rules")
        return ChainState(
            tracker=msgspec.json.decode(raw.tracker, type=tracker.TrackerState),
            trajectories=msgspec.json.decode(raw.trajectories, type=trajectories.State),
            rules=tuple(
                msgspec.json.decode(part, type=type(step.initial()))
                for part, (_, step) in zip(raw.rules, self._steps, strict=True)
            ),
            flow=msgspec.json.decode(raw.flow, type=flow.FlowState),
            activity=raw.activity,
            memory=raw.memory,
        )

    def _watch(
        self, state: ActivityState | msgspec.UnsetType, frame: Inferred
    ) -> tuple[ActivityState | msgspec.UnsetType, tuple[Event, ...]]:
        watch, watched = self.analysis.activity, frame.watched
        if watch is msgspec.UNSET or state is msgspec.UNSET or watched is None:
            return state, ()
        after, change = activity.step(state, watched.answer, watched.labels, watch.hold_seconds)
        if change is None:
            return after, ()
        event = Event(
            id=event_id(self.camera, "activity", change.activity, "", change.told_ns),
            camera=self.camera,
            kind="activity",
            rule="",
            captured_ns=change.told_ns,
            track=None,
            label=None,
            box=None,
            details={"activity": change.activity, "since_ns": change.since_ns, "before": change.before},
            provenance=msgspec.structs.replace(frame.provenance, model=watched.model, model_version=watched.version),
        )
        return after, (event,)

    def _apply_rules(self, states: tuple[Any, ...], scene: Scene) -> tuple[tuple[Any, ...], tuple[Fact, ...]]:
        after: list[Any] = []
        facts: list[Fact] = []
        for state, (rule, step) in zip(states, self._steps, strict=True):
            new_state, found = step.step(state, scene, rule)
            after.append(new_state)
            facts.extend(found)
        return tuple(after), tuple(facts)

    def _event(self, fact: Fact, provenance: Provenance) -> Event:
        return Event(
            id=event_id(self.camera, fact.kind, fact.rule, fact.track or "", fact.captured_ns),
            camera=self.camera,
            kind=fact.kind,
            rule=fact.rule,
            captured_ns=fact.captured_ns,
            track=fact.track,
            label=fact.label,
            box=fact.box,
            details=fact.details,
            provenance=provenance,
        )

    def _flow(self, row: flow.FlowRow, provenance: Provenance) -> Flow:
        return Flow(
            camera=self.camera,
            line=row.line,
            minute_ns=row.minute_ns,
            label=row.label,
            direction=row.direction,
            count=row.count,
            mean_speed=row.mean_speed,
            provenance=provenance,
        )


class _SavedState(msgspec.Struct):
    tracker: msgspec.Raw
    trajectories: msgspec.Raw
    rules: tuple[msgspec.Raw, ...]
    flow: msgspec.Raw
    activity: ActivityState | msgspec.UnsetType = msgspec.UNSET
    memory: Memory | msgspec.UnsetType = msgspec.UNSET


def event_id(camera: str, kind: str, rule: str, track: str, captured_ns: int) -> str:
    """The same facts give the same id in every run."""
    return str(uuid.uuid5(EVENT_NAMESPACE, f"{camera}\n{kind}\n{rule}\n{track}\n{captured_ns}"))

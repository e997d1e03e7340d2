"""Which live cameras take part in a comparison of two models, and which model each of them gets."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec
from msgspec import Struct, UnsetType

from schemas.analysis import CameraSpec, Experiment

ArmName = Literal["a", "b"]


class ExperimentRunsError(ValueError):
    """One of that name runs already."""


class NoExperimentError(ValueError):
    """None of that name runs."""


def arm_of(experiment: str, camera: str, share: float) -> ArmName:
    """The same in every process and at any time; `share` of all names fall to b."""
    digest = hashlib.sha256(f"{experiment}\n{camera}".encode()).digest()
    return "b" if int.from_bytes(digest[:8], "big") < share * 2**64 else "a"


def started(cameras: Mapping[str, CameraSpec], name: str, a: str, b: str, share: float) -> list[CameraSpec]:
    """The cameras that take part, as they are from now on: all lasting ones with model `a` that are in no experiment.
    Raises ValueError when that compares nothing, ExperimentRunsError when the name is taken."""
    if a == b:
        raise ValueError(f"both arms would have the model {a}")
    if not 0 < share < 1:
        raise ValueError(f"a share of {share:g} leaves one arm empty: it lies between 0 and 1")
    if any(part.experiment.name == name for part in _parts(cameras.values())):
        raise ExperimentRunsError(f"experiment {name} runs already")
    # a name that nobody can read again would hide its cameras
    msgspec.convert({"name": name, "arm": "a", "a": a, "b": b}, Experiment)
    found = []
    for spec in sorted(cameras.values(), key=lambda spec: spec.id):
        if spec.batch or spec.analysis.model != a or not isinstance(spec.experiment, UnsetType):
            continue
        arm = arm_of(name, spec.id, share)
        analysis = msgspec.structs.replace(spec.analysis, model=b if arm == "b" else a)
        found.append(msgspec.structs.replace(spec, analysis=analysis, experiment=Experiment(name, arm, a, b)))
    arms = Counter(part.experiment.arm for part in _parts(found))
    if min(arms["a"], arms["b"]) == 0:
        dealt = f"{arms['a']} would stay with it and {arms['b']} get {b}"
        raise ValueError(f"of {len(found)} cameras with the model {a} and no experiment {dealt}: nothing to compare")
    return found


def stopped(cameras: Mapping[str, CameraSpec], name: str, keep: ArmName) -> list[CameraSpec]:
    """Its cameras, all with the model of one arm. A camera whose model was changed meanwhile keeps that. Raises
    NoExperimentError."""
    found = []
    for part in _parts(cameras.values()):
        if part.experiment.name != name:
            continue
        spec, mine = part.spec, part.experiment
        dealt = spec.analysis.model == (mine.b if mine.arm == "b" else mine.a)
        model = (mine.b if keep == "b" else mine.a) if dealt else spec.analysis.model
        analysis = msgspec.structs.replace(spec.analysis, model=model)
        found.append(msgspec.structs.replace(spec, analysis=analysis, experiment=msgspec.UNSET))
    if not found:
        raise NoExperimentError(f"no camera takes part in an experiment {name}")
    return found


def running(cameras: Mapping[str, CameraSpec], name: str) -> tuple[Experiment | None, dict[str, ArmName]]:
    """The experiment of that name, by any of its cameras, and the arm of each."""
    parts = [part for part in _parts(cameras.values()) if part.experiment.name == name]
    return parts[0].experiment if parts else None, {part.spec.id: part.experiment.arm for part in parts}


def compared(
    cameras: Mapping[str, CameraSpec], name: str, a: str | None, b: str | None
) -> tuple[str, str, dict[str, ArmName]]:
    """The two models that a report is about, and the arm of each camera. `a` and `b`: of an experiment that is over,
    which nobody remembers. Raises NoExperimentError."""
    experiment, arms = running(cameras, name)
    first, second = a or (experiment.a if experiment else ""), b or (experiment.b if experiment else "")
    if not first or not second:
        raise NoExperimentError(f"no camera takes part in an experiment {name} now")
    return first, second, arms


class Part(Struct, frozen=True):
    spec: CameraSpec
    experiment: Experiment


def _parts(cameras: Iterable[CameraSpec]) -> list[Part]:
    return [Part(spec, spec.experiment) for spec in cameras if isinstance(spec.experiment, Experiment)]

"""Which cameras take part in an experiment, and what they are analysed with before, in and after it."""

import math

import msgspec
import pytest

from schemas.analysis import Analysis, CameraSpec, Source
from schemas.experiment import (
    ExperimentRunsError,
    NoExperimentError,
    arm_of,
    compared,
    running,
    started,
    stopped,
)


def camera(name: str, model: str = "old", **more: bool) -> CameraSpec:
    return CameraSpec(name, Source("rtsp://192.0.2.1/"), Analysis(model=model, min_score=0.3), **more)  # type: ignore[arg-type]


CAMERAS = {f"c{number}": camera(f"c{number}") for number in range(20)}


def test_a_share_of_the_names_falls_to_b_and_always_the_same() -> None:
    names = [f"camera-{number}" for number in range(10_000)]
    for share in (0.1, 0.5, 0.9):
        hits = sum(arm_of("trial", name, share) == "b" for name in names)
        assert abs(hits - 10_000 * share) < 5 * math.sqrt(10_000 * share * (1 - share))
    # by `printf 'trial\nc0' | sha256sum`: below 8 is b
    assert "".join(arm_of("trial", f"c{number}", 0.5) for number in range(8)) == "aabbbbbb"
    assert any(arm_of("trial", name, 0.5) != arm_of("other", name, 0.5) for name in names[:50])


def test_whoever_has_b_at_a_small_share_has_it_at_a_larger_one() -> None:
    for name in CAMERAS:
        if arm_of("trial", name, 0.2) == "b":
            assert arm_of("trial", name, 0.6) == "b"


def test_b_s_cameras_get_its_model_and_nothing_else_changes() -> None:
    found = {spec.id: spec for spec in started(CAMERAS, "trial", "old", "new", 0.5)}
    assert set(found) == set(CAMERAS)
    experiment, arms = running(found, "trial")
    assert experiment is not None
    assert (experiment.a, experiment.b) == ("old", "new")
    for name, spec in found.items():
        assert spec.analysis.model == {"a": "old", "b": "new"}[arms[name]]
        assert arms[name] == arm_of("trial", name, 0.5)
        plain = msgspec.structs.replace(spec, experiment=msgspec.UNSET, analysis=CAMERAS[name].analysis)
        assert plain == CAMERAS[name]
        assert msgspec.structs.replace(spec.analysis, model="old") == CAMERAS[name].analysis


@pytest.mark.parametrize(("keep", "model"), [("a", "old"), ("b", "new")])
def test_afterwards_all_have_one_model_again(keep: str, model: str) -> None:
    found = {spec.id: spec for spec in started(CAMERAS, "trial", "old", "new", 0.5)}
    after = stopped(found, "trial", keep)  # type: ignore[arg-type]
    assert {spec.id for spec in after} == set(CAMERAS)
    assert {spec.analysis.model for spec in after} == {model}
    assert all(b"experiment" not in msgspec.json.encode(spec) for spec in after)


def test_a_camera_whose_model_was_changed_meanwhile_keeps_that() -> None:
    found = {spec.id: spec for spec in started(CAMERAS, "trial", "old", "new", 0.5)}
    changed = msgspec.structs.replace(found["c0"], analysis=Analysis(model="third"))
    after = {spec.id: spec for spec in stopped({**found, "c0": changed}, "trial", "b")}
    assert after["c0"].analysis.model == "third"
    assert after["c1"].analysis.model == "new"


def test_uploads_other_models_and_other_experiments_take_no_part() -> None:
    first = {spec.id: spec for spec in started(CAMERAS, "trial", "old", "new", 0.5)}
    more = {f"d{number}": camera(f"d{number}") for number in range(20)}
    others = {"upload": camera("upload", batch=True), "else": camera("else", "third")}
    second = started({**first, **more, **others}, "second", "old", "newest", 0.5)
    assert {spec.id for spec in second} == set(more)


@pytest.mark.parametrize(
    ("name", "a", "b", "share", "why"),
    [
        ("t", "old", "old", 0.5, "both arms would have the model old"),
        ("t", "old", "new", 0.0, "leaves one arm empty"),
        ("t", "old", "new", 1.0, "leaves one arm empty"),
        ("t", "none", "new", 0.5, "of 0 cameras with the model none"),
        ("a b", "old", "new", 0.5, "Expected `str` matching regex"),
        ("t", "old", "new", 1e-6, "20 would stay with it and 0 get new: nothing to compare"),
    ],
)
def test_what_compares_nothing_is_refused(name: str, a: str, b: str, share: float, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        started(CAMERAS, name, a, b, share)


def test_a_name_runs_once_and_an_unknown_one_cannot_be_stopped() -> None:
    found = {spec.id: spec for spec in started(CAMERAS, "trial", "old", "new", 0.5)}
    with pytest.raises(ExperimentRunsError, match="experiment trial runs already"):
        started(found, "trial", "old", "new", 0.5)
    with pytest.raises(NoExperimentError, match="no camera takes part in an experiment other"):
        stopped(found, "other", "a")
    with pytest.raises(NoExperimentError, match="no camera takes part in an experiment other now"):
        compared(found, "other", "old", None)
    assert compared(found, "other", "old", "new") == ("old", "new", {})
    assert compared(found, "trial", None, None)[:2] == ("old", "new")
    assert running(CAMERAS, "trial") == (None, {})


def test_a_camera_without_an_experiment_is_written_as_before() -> None:
    assert b"experiment" not in msgspec.json.encode(camera("c"))
    taking_part = started(CAMERAS, "trial", "old", "new", 0.5)[0]
    assert msgspec.json.decode(msgspec.json.encode(taking_part), type=CameraSpec) == taking_part

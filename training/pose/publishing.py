"""From a checkpoint to the served model `shop-pose` and its INT8 variant: export, judgement, card and curve."""

from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import ModelProto

from training.curves import drawn, losses
from training.int8_publishing import store_variant
from training.int8_variant import SUFFIX, Int8Trial, in_bytes, tried
from training.model_card import own_card
from training.model_repository import CURVES, GRAPH, store_files
from training.pose.contract import INPUT, PoseModel, config_text
from training.pose.crop_set import CropRendering, CropSet, crop_set
from training.pose.judging import PoseReport, by_keypoint, figures
from training.pose.network import ShopPose
from training.pose.onnx_graph import to_onnx
from training.provenance import commit_of
from training.raw_network import read_model
from training.speed import Feed
from training.trial import milliseconds, session
from vision.pose_crop import HEIGHT, WIDTH

_CALIBRATED: Final = 128
MODEL: Final = PoseModel(
    name="shop-pose",
    family="shop-pose",
    width=WIDTH,
    height=HEIGHT,
    letterbox="center",
    pad=114,
    answers="people",
    rows=1,
    max_batch_size=8,
)


def publish(work: Path, repository: Path, learning: CropRendering, judging: CropRendering) -> PoseReport:
    """Raises OSError without a checkpoint, ModelError where the export does not keep the contract."""
    network = ShopPose()
    state = torch.load(work / "shop-pose.pt", weights_only=True)
    network.load_state_dict(state["average"])
    graph = to_onnx(network, MODEL)
    raw = graph.SerializeToString(deterministic=True)
    learnt, judged = crop_set(learning, work), crop_set(judging, work)
    if learnt.sha256 != state["data"]:
        raise ValueError(f"the checkpoint was made from other crops: sha256 {state['data']}")
    report = judge(raw, learnt, judged)
    facts = {
        "commit": commit_of(Path(__file__).parents[1]),
        "recipe": state["recipe"],
        "steps": state["step"],
        "ends": state["ends"],
        "parameters": sum(p.numel() for p in network.parameters()),
        "learnt_from": {"rendering": learning, "sha256": learnt.sha256, "simulator": learnt.commit},
        "judged_on": {"rendering": judging, "sha256": judged.sha256, "simulator": judged.commit},
        "result": report,
    }
    card = own_card(MODEL.name, MODEL.family, "training/train_pose.py", raw, facts)
    curves = drawn(MODEL.name, losses(state["curve"]))
    store_files(repository, raw, config_text(MODEL), card, replace=True, further={f"1/{CURVES}": curves})
    return report


def publish_int8(
    work: Path, repository: Path, learning: CropRendering, judging: CropRendering
) -> tuple[Int8Trial, str | None]:
    """The variant of the published model, calibrated on what that has learnt from and judged on what it was; with why
    it is not written, where it does not pay. Raises ModelError where nothing is published."""
    graph = read_model(repository / MODEL.name / "1" / GRAPH)
    learnt, judged = crop_set(learning, work), crop_set(judging, work)
    seen = _feeds(learnt.pixels[:: max(1, len(learnt) // _CALIBRATED)])
    name = MODEL.name + SUFFIX
    variant = in_bytes(graph, seen, name)

    def judge(model: ModelProto) -> float:
        return figures(_answers(session(model.SerializeToString()), judged)[..., :2], judged).oks

    trial = tried(graph, variant, seen, _feeds(judged.pixels[:_CALIBRATED]), "OKS", judge)
    config = config_text(msgspec.structs.replace(MODEL, name=name))
    return trial, store_variant(repository, MODEL.name, config, variant, trial)


def _feeds(crops: NDArray[np.uint8]) -> list[Feed]:
    return [{INPUT: np.ascontiguousarray(each[None])} for each in crops]


def judge(graph: bytes, learnt: CropSet, judged: CropSet) -> PoseReport:
    """The served graph against the mean pose, on crops that it has not learnt from."""
    running = session(graph)
    answers = _answers(running, judged)
    shown = judged.keypoints[..., 2] == 2
    commoner = (learnt.keypoints[..., 2] == 2).mean(axis=0) > 0.5
    return PoseReport(
        people=len(judged),
        network=figures(answers[..., :2], judged),
        baseline=figures(np.tile(mean_pose(learnt), (len(judged), 1, 1)), judged),
        seen=round(float(((answers[..., 2] > 0.5) == shown).mean()), 4),
        seen_baseline=round(float((commoner == shown).mean()), 4),
        by_keypoint=by_keypoint(answers[..., :2], judged),
        milliseconds=milliseconds(lambda: running.run(None, {INPUT: judged.pixels[:1]})),
    )


def _answers(running: onnxruntime.InferenceSession, crops: CropSet) -> NDArray[np.float64]:
    """[n, 18, 3]"""
    parts = [running.run(["people"], {INPUT: crops.pixels[at : at + 32]})[0] for at in range(0, len(crops), 32)]
    return np.concatenate([np.asarray(part)[:, 0] for part in parts]).astype(np.float64)


def mean_pose(crops: CropSet) -> NDArray[np.float64]:
    """[18, 2]: where each keypoint lies on average, of those that are in the picture."""
    inside = crops.keypoints[..., 2:] > 0
    places = crops.keypoints[..., :2].astype(np.float64)
    return np.asarray((places * inside).sum(axis=0) / inside.sum(axis=0))

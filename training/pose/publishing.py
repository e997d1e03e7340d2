"""From a checkpoint to the served model `shop-pose`: export, judgement, card and curve."""

import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from training.curves import CURVES, drawn, losses
from training.model_card import own_card
from training.model_repository import store_files
from training.pose.contract import INPUT, PoseModel, config_text
from training.pose.crop_set import CropRendering, CropSet, crop_set
from training.pose.judging import PoseReport, by_keypoint, figures
from training.pose.network import ShopPose
from training.pose.onnx_graph import to_onnx
from training.provenance import commit_of
from training.trial import session
from vision.pose_crop import HEIGHT, WIDTH

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


def judge(graph: bytes, learnt: CropSet, judged: CropSet) -> PoseReport:
    """The served graph against the mean pose, on crops that it has not learnt from."""
    running = session(graph)
    answers = np.concatenate(
        [
            np.asarray(running.run(["people"], {INPUT: judged.pixels[start : start + 32]})[0])[:, 0]
            for start in range(0, len(judged), 32)
        ]
    ).astype(np.float64)
    shown = judged.keypoints[..., 2] == 2
    commoner = (learnt.keypoints[..., 2] == 2).mean(axis=0) > 0.5
    return PoseReport(
        people=len(judged),
        network=figures(answers[..., :2], judged),
        baseline=figures(np.tile(mean_pose(learnt), (len(judged), 1, 1)), judged),
        seen=round(float(((answers[..., 2] > 0.5) == shown).mean()), 4),
        seen_baseline=round(float((commoner == shown).mean()), 4),
        by_keypoint=by_keypoint(answers[..., :2], judged),
        milliseconds=_milliseconds(running, judged.pixels[:1]),
    )


def mean_pose(crops: CropSet) -> NDArray[np.float64]:
    """[18, 2]: where each keypoint lies on average, of those that are in the picture."""
    inside = crops.keypoints[..., 2:] > 0
    places = crops.keypoints[..., :2].astype(np.float64)
    return np.asarray((places * inside).sum(axis=0) / inside.sum(axis=0))


def _milliseconds(running: Any, one: NDArray[np.uint8]) -> float:
    """Median of a person on one thread."""
    times = []
    for _ in range(60):
        began = time.perf_counter()
        running.run(None, {INPUT: one})
        times.append(time.perf_counter() - began)
    return round(1000 * float(np.median(times)), 3)

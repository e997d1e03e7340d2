"""What a network for hard clips has learnt from and is judged on, and how its card says so."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from training.hard_clips.clip_set import ClipSet, Rendering
from training.model_card import digest
from training.provenance import commit_of, practice_of


class Sets(Struct, frozen=True):
    """The clips that were learnt from, each with so many draws of hardships, and those that it is judged on."""

    learning: Rendering
    draws: int
    judging: Rendering


def facts_of(states: Mapping[str, Mapping[str, Any]], sets: Sets, judged: ClipSet, detector: Path) -> dict[str, Any]:
    """`states`: the checkpoints, by the network's name. `detector`: the graph whose first stages were frozen."""
    return {
        "commit": commit_of(Path(__file__).parents[1]),
        **practice_of(states),
        "learnt_from": {
            "rendering": sets.learning,
            "draws": sets.draws,
            "sha256": {part: state["data"] for part, state in states.items()},
        },
        "judged_on": {"rendering": sets.judging, "sha256": judged.sha256, "simulator": judged.commit},
        "features": {"frozen": "stages of junction-yolo up to stride 16", "sha256": digest(detector)},
    }

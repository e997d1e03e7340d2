"""Public detectors in small: which version answers can be told from the score."""

from pathlib import Path

import numpy as np
import onnx

from tests.training.tables import network


def write_network(folder: Path, score: float = 0.9, classes: int = 2, size: int = 64, tied: bool = False) -> Path:
    """A YOLOX export that always finds one box of class 1, its score `score`; with `labels.txt` beside it."""
    table = np.zeros((size * size * 21 // 1024, 5 + classes), np.float32)
    table[19, :5] = [0.5, 0.25, 0.7, 1.1, 1.0]
    table[19, 6] = score
    file = folder / f"network-{score}-{classes}-{size}.onnx"
    onnx.save(network({"output": table}, size, tied=tied), file)
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in ("car", "bus", "van")[:classes]))
    return file

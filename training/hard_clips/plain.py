"""What the bundled detector itself finds in hard clips: it knows single pictures, and has not learnt from such."""

from collections.abc import Iterator

import cv2
import numpy as np
from onnx import ModelProto

from training.contract import INPUT, OUTPUT
from training.hard_clips.clip_set import HEIGHT, WIDTH
from training.hard_clips.judging import Floats, Judged, precisions, tabled
from training.trial import session


def plain50(graph: ModelProto, clips: Judged) -> dict[str, float]:
    """mAP50 by kind of picture. `graph`: as it is served; pictures are enlarged to what it takes."""
    table = tabled(_answers(graph, clips), clips)
    found = {name: precisions(table, part) for name, part in clips.parts.items()}
    return {
        name: round(float(np.mean([each[0] for each in figures.values()])), 4)
        for name, figures in found.items()
        if figures
    }


def _answers(graph: ModelProto, clips: Judged) -> Iterator[Floats]:
    running = session(graph.SerializeToString())
    height, width = (side.dim_value for side in graph.graph.input[0].type.tensor_type.shape.dim[1:3])
    sides = np.array([width / WIDTH, height / HEIGHT] * 2, np.float32)
    for index in range(len(clips.truth[0])):
        rows = []
        for one in clips.hard:
            picture = cv2.resize(one.pixels[index], (width, height), interpolation=cv2.INTER_LINEAR)
            found = np.asarray(running.run([OUTPUT], {INPUT: picture[None]})[0])[0]
            rows.append(np.concatenate([found[:, :4] / sides, found[:, 4:]], axis=1))
        yield np.stack(rows)

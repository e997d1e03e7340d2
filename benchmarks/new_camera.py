"""What fine-tuning on a new camera is worth: `python -m benchmarks.new_camera FOLDER` writes two labelled folders.

`new`: scenes of cameras that hang lower and see wider than any that the bundled detector knows. `old`: pictures that it
has learnt from, to be mixed in, and others that it has not, to be judged on. Then

    rewatch train FOLDER/new --name junction-yolo --from junction-yolo --rehearse FOLDER/old --repository COPY
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Final

import cv2
import msgspec
import numpy as np
import typer

from simulator.actors import LABELS
from simulator.camera import Mount
from simulator.dataset import images
from simulator.look import VARIANTS
from training.datasets.split import NAME, Split
from training.samples import Boxes, Pixels, SampleSet, read_samples

LOW: Final = Mount(height=(4.6, 5.6), pitch=(7.0, 11.0), field_of_view=(76.0, 88.0))
SEED: Final = 60_000
"""far from all that the bundled detector has learnt from or was judged on"""
PER_SCENE: Final = 10
_SIZE: Final = (448, 252)

Picture = tuple[str, Pixels, Boxes, np.ndarray[tuple[int, ...], np.dtype[np.int64]]]


def write(
    folder: Annotated[Path, typer.Argument(help="Where to; it must not be there yet.")],
    new: Annotated[int, typer.Option(help="Pictures of the new cameras.")] = 320,
    old: Annotated[int, typer.Option(help="Pictures to rehearse with.")] = 640,
    samples: Annotated[Path, typer.Option(help="What the bundled detector learnt from.")] = (
        Path.home() / ".cache" / "rewatch" / "training" / "samples"
    ),
) -> None:
    """Two labelled folders in YOLO's layout."""
    folder.mkdir(parents=True)
    _write(folder / "new", _new(new))
    learnt, judged = read_samples(samples / "100-800-10-448x256"), read_samples(samples / "9000-100-10-448x256")
    every = max(1, len(learnt) // old)
    known = _write(folder / "old", _of(learnt, "learnt", range(0, len(learnt), every)))
    # of four scenes one is looked at while learning; the others are for the last word
    validation = [place for place in range(len(judged)) if place // PER_SCENE % 4 == 0]
    test = [place for place in range(len(judged)) if place // PER_SCENE % 4]
    parts = Split(
        known,
        _write(folder / "old", _of(judged, "judged", validation)),
        _write(folder / "old", _of(judged, "judged", test)),
    )
    (folder / "old" / NAME).write_bytes(msgspec.json.encode(parts))


def _new(count: int) -> Iterator[Picture]:
    for place, (picture, boxes, labels) in enumerate(
        images(SEED, count, VARIANTS, _SIZE, per_scene=PER_SCENE, mount=LOW)
    ):
        yield f"scene-{place // PER_SCENE}_{place % PER_SCENE:04}", picture, boxes, labels


def _of(samples: SampleSet, name: str, places: Iterable[int]) -> Iterator[Picture]:
    """Without the letterbox's border, which the reader adds again."""
    for place in places:
        sample = samples[place]
        scene = f"{name}-{place // PER_SCENE}_{place % PER_SCENE:04}"
        yield scene, np.asarray(sample.pixels[: _SIZE[1]]), sample.boxes, sample.labels


def _write(folder: Path, pictures: Iterable[Picture]) -> tuple[str, ...]:
    """The pictures' files."""
    written = []
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in LABELS))
    for name, pixels, boxes, labels in pictures:
        file = f"images/{name}.png"
        cv2.imwrite(str(folder / file), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
        middles, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2 / _SIZE, (boxes[:, 2:] - boxes[:, :2]) / _SIZE
        rows = [
            f"{label} " + " ".join(f"{value:.7f}" for value in row)
            for label, row in zip(labels, np.concatenate([middles, sizes], 1), strict=True)
        ]
        (folder / "labels" / f"{name}.txt").write_text("".join(f"{row}\n" for row in rows))
        written.append(file)
    return tuple(written)


if __name__ == "__main__":
    typer.run(write)

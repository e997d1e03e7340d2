"""The demo's clips: rendered once per version of the simulator, kept in the cache."""

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import msgspec

import simulator
from devstack.cache import cache_directory
from simulator.clip import render_clip, truth_path
from simulator.encoder import Encoding
from simulator.look import Variant
from simulator.record import ClipHeader, read_truth
from simulator.scene import Scene
from simulator.truth import Truth


class View(msgspec.Struct, frozen=True):
    """One simulated camera."""

    camera: str
    seed: int
    variant: Variant


class Clip(msgspec.Struct, frozen=True):
    view: View
    path: Path
    header: ClipHeader
    truth: list[Truth]


VIEWS: Final = (View("junction-day", 11, "day"), View("junction-night", 23, "night"))
GOP_SECONDS: Final = 1.0


def clips(
    views: tuple[View, ...], seconds: float, size: tuple[int, int], fps: float, done: Callable[[str], None]
) -> list[Clip]:
    """Renders what the cache lacks, one process a view; `done` is called with each camera's name."""
    folder = cache_directory() / "clips" / _version()
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{view.seed}-{view.variant}-{size[0]}x{size[1]}-{fps:g}-{seconds:g}.mp4" for view in views]
    # fresh processes: a copy of one that has threads may wait for ever for a thread that was not copied
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as processes:
        jobs = [
            None
            if path.exists() and truth_path(path).exists()
            else processes.submit(_render, view, path, seconds, size, fps)
            for view, path in zip(views, paths, strict=True)
        ]
        for view, job in zip(views, jobs, strict=True):
            if job is not None:
                job.result()
            done(view.camera)
    return [Clip(view, path, *read_truth(truth_path(path))) for view, path in zip(views, paths, strict=True)]


def _render(view: View, path: Path, seconds: float, size: tuple[int, int], fps: float) -> None:
    scene = Scene(view.seed, view.variant, size[0], size[1], fps)
    unfinished = path.with_name(f".{os.getpid()}-{path.name}")
    render_clip(scene, unfinished, seconds, Encoding(gop_seconds=GOP_SECONDS), truth_path(unfinished))
    truth_path(unfinished).replace(truth_path(path))
    unfinished.replace(path)


def _version() -> str:
    """A clip is of the code that rendered it."""
    digest = hashlib.sha256()
    for file in sorted(Path(simulator.__path__[0]).glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]

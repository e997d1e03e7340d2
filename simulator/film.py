"""Films any scene: pictures to an encoder, their truth to a file beside, at full speed or paced."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from simulator.arrays import Picture
from simulator.encoder import Encoder, Encoding
from simulator.record import TruthWriter

#: The longest clip, seconds; a day.
LONGEST = 86_400.0

Seen = TypeVar("Seen", bound=msgspec.Struct)
SeenOut = TypeVar("SeenOut", bound=msgspec.Struct, covariant=True)


class FilmError(ValueError):
    """A length that cannot be filmed."""


class Scenery(Protocol[SeenOut]):
    """What can be filmed: pictures uint8 [height, width, 3] RGB with what is true of them, `fps` a second."""

    width: int
    height: int
    fps: float

    def frame(self) -> tuple[Picture, SeenOut]: ...


class Film(msgspec.Struct, frozen=True):
    """Where a film goes and how. `truth`: its truth file; `paced`: frames at their times instead of as fast as they
    render (a live target always is); `progress` is called with (frames done, frames in all)."""

    target: str | Path
    seconds: float
    encoding: Encoding = Encoding()
    truth: Path | None = None
    paced: bool = False
    progress: Callable[[int, int], None] | None = None


def shoot(
    scene: Scenery[Seen],
    film: Film,
    header: Callable[[Encoder], msgspec.Struct],
    watch: Callable[[Seen], None],
) -> tuple[int, float]:
    """Films `film.seconds` of a scene; `watch` is shown each frame's truth. (frames, seconds of the wall clock).

    The truth has a field `pts`, which the encoder fills. Raises FilmError, EncodeError, OSError.
    """
    if not 0 < film.seconds <= LONGEST or round(film.seconds * scene.fps) < 1:
        raise FilmError(f"{film.seconds} seconds: from one frame to {LONGEST:.0f} seconds can be rendered")
    total = round(film.seconds * scene.fps)
    started = time.monotonic()
    with ExitStack() as stack:
        # Entered first, so closed last: no truth appears for a clip that could not be finished.
        writer = None
        encoder = Encoder(film.target, scene.width, scene.height, scene.fps, film.encoding)
        if film.truth:
            try:
                writer = stack.enter_context(TruthWriter(film.truth, header(encoder)))
            except OSError:
                encoder.discard()
                raise
        stack.enter_context(encoder)
        for number in range(total):
            picture, seen = scene.frame()
            if film.paced or encoder.live:
                time.sleep(max(0.0, started + number / scene.fps - time.monotonic()))
            seen = msgspec.structs.replace(seen, pts=encoder.write(picture))
            if writer:
                writer.write(seen)
            watch(seen)
            if film.progress:
                film.progress(number + 1, total)
    return total, round(time.monotonic() - started, 3)

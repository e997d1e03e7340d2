"""What proves an event, as a folder that needs nothing of ours: the clip as the camera sent it, the event, its sums."""

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import msgspec

from replay.log import LogGoneError, PartitionLog
from replay.units import units_of
from replay.verify import Verdict
from schemas.messages import AccessUnit
from schemas.results import to_json

_GOPS_AROUND: Final = 1
SUMS: Final = "SHA256SUMS"


def export(bootstrap: str, verdict: Verdict, folder: Path, card: Mapping[str, bytes]) -> list[Path]:
    """Writes clip.mp4 (the event's GOP and its neighbours, not encoded again), event.json, verdict.json, analysis.json,
    the model's `card` (contents by file name), and SHA256SUMS for `sha256sum --check`. Returns the files.

    Raises LogGoneError when the access units were deleted, FileExistsError when the folder is there.
    """
    units = _around(bootstrap, verdict)
    folder.mkdir(parents=True)
    (folder / "event.json").write_bytes(to_json(verdict.event) + b"\n")
    (folder / "verdict.json").write_bytes(msgspec.json.format(msgspec.json.encode(verdict)) + b"\n")
    (folder / "analysis.json").write_bytes(msgspec.json.format(units[0].analysis or b"{}") + b"\n")
    write_clip(units, folder / "clip.mp4")
    for name, content in card.items():
        (folder / name).write_bytes(content)
    files = sorted(folder.iterdir())
    sums = "".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files)
    (folder / SUMS).write_text(sums)
    return [*files, folder / SUMS]


def write_clip(units: Sequence[AccessUnit], file: Path) -> None:
    """Access units of one session, the first a keyframe, as MP4: the very bytes, with their own timestamps."""
    times = sorted(unit.pts for unit in units)
    # decoding order has no times of its own: the sorted ones, early enough that nothing is shown before it is decoded
    early = max(time - unit.pts for time, unit in zip(times, units, strict=True))
    with (
        av.open(io.BytesIO(b"".join(unit.data for unit in units)), format=units[0].codec) as parameters,
        av.open(str(file), "w", format="mp4", container_options={"fflags": "+bitexact"}) as container,
    ):
        stream = container.add_stream_from_template(parameters.streams.video[0])
        time_base = Fraction(*units[0].time_base)
        stream.time_base = time_base
        for time, unit in zip(times, units, strict=True):
            packet = av.Packet(unit.data)
            packet.stream = stream
            packet.time_base = time_base
            packet.pts, packet.dts = unit.pts - times[0], time - early - times[0]
            packet.is_keyframe = unit.keyframe
            container.mux(packet)


def _around(bootstrap: str, verdict: Verdict) -> list[AccessUnit]:
    """The GOP of the event's provenance with its neighbours of the same session, in order of decoding."""
    provenance, camera = verdict.event.provenance, verdict.event.camera
    gops: list[list[AccessUnit]] = []
    here: int | None = None
    with PartitionLog(bootstrap, provenance.topic, provenance.partition) as log:
        # a GOP is seldom longer than some hundred records of all cameras of its partition
        for offset, unit in _units(log, max(log.low, provenance.keyframe_offset - 2000), camera):
            if unit.keyframe:
                if here is None and offset > provenance.keyframe_offset:
                    break
                if here is None:
                    del gops[: -_GOPS_AROUND or None]
                elif len(gops) > here + _GOPS_AROUND:
                    break
                gops.append([])
                if offset == provenance.keyframe_offset:
                    here = len(gops) - 1
            if gops:
                gops[-1].append(unit)
    if here is None:
        where = f"{provenance.topic}/{provenance.partition}"
        raise LogGoneError(f"{where}: camera {camera} has no keyframe at offset {provenance.keyframe_offset}")
    session = gops[here][0].session
    return [unit for gop in gops for unit in gop if unit.session == session]


def _units(log: PartitionLog, start: int, camera: str) -> Iterator[tuple[int, AccessUnit]]:
    for records in log.read(start):
        for record, unit in units_of(records, camera):
            yield record.offset, unit

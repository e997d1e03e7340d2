"""A camera as the REST interface shows it."""

from pathlib import Path
from typing import Final, Literal

import msgspec

from gateway.api import CameraInfo, GapInfo, Latency
from gateway.camera import Camera
from gateway.roster import Roster
from runtime.logging import redact
from schemas.analysis import CameraSpec
from schemas.results import rfc3339

DARK_AFTER_SECONDS: Final = 10.0
_UNLISTED_SECONDS: Final = 60.0


def view(camera: Camera, roster: Roster, now: float) -> CameraInfo:
    latency = camera.latency_ms(now)
    spec = camera.spec
    gap = camera.gap
    info = CameraInfo(
        id=camera.id,
        state="unknown",
        dark_after_seconds=DARK_AFTER_SECONDS,
        fps=round(camera.fps(now), 2),
        source_fps=_rounded(camera.source_fps()),
        latency_ms=None if latency is None else Latency(p50=round(latency[0], 1), p95=round(latency[1], 1)),
        width=camera.width or None,
        height=camera.height or None,
        codec=camera.codec,
        signals=camera.signals,
        processes={role: round(age, 1) for role, age in roster.roles(camera.id).items()},
        error=camera.ended or None,
    )
    if spec is not None:
        info.source = source_text(spec)
        info.labels = spec.labels
        info.batch = spec.batch
        info.rules = [msgspec.to_builtins(rule) for rule in spec.analysis.rules]
    if camera.model is not None:
        info.model, info.model_version = camera.model
    if camera.newest_ns is not None:
        info.last_frame, info.last_frame_ns = rfc3339(camera.newest_ns), camera.newest_ns
        info.state = "ended" if camera.ended is not None else _online_or_dark(camera, now)
    if camera.analysed_ns is not None and not info.batch:
        info.lag_seconds = round(max(0.0, now - camera.analysed_ns / 1e9), 2)
    if gap is not None:
        lost = gap.details.get("lost")
        info.last_gap = GapInfo(
            captured_ns=gap.captured_ns,
            reason=str(gap.details.get("reason", "")),
            lost=lost if isinstance(lost, int) else None,
        )
    return info


def listed(camera: Camera, now: float) -> bool:
    """A withdrawn camera leaves the list once its last results are a minute old."""
    return camera.spec is not None or (camera.arrived is not None and now - camera.arrived < _UNLISTED_SECONDS)


def source_text(spec: CameraSpec) -> str:
    """Without user, password and query, any of which may be a secret; of an uploaded file only its name."""
    if spec.batch:
        return spec.labels.get("file", Path(spec.source.url).name)
    address, question, _ = redact(spec.source.url).partition("?")
    return f"{address}?***" if question else address


def _online_or_dark(camera: Camera, now: float) -> Literal["online", "dark"]:
    return "online" if camera.arrived is not None and now - camera.arrived <= DARK_AFTER_SECONDS else "dark"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)

"""Writes deploy/demo/cameras.yml: what a person would configure for the two simulated cameras of the profile `demo`.

`python -m tests.deploy.demo_cameras > deploy/demo/cameras.yml` after the simulator's geometry has changed.
"""

from typing import Any

import yaml

from cli.demo.clips import VIEWS, View
from simulator.scene import Scene
from simulator.spec import analysis_yaml

HEAD = """\
# The two simulated cameras of `docker compose --profile demo up`, and an example of a camera file:
# rewatch cameras apply deploy/demo/cameras.yml. Positions are fractions of the picture, from its top left.
"""
SIZE = 1280, 720
FPS = 15.0


def text() -> str:
    return HEAD + yaml.safe_dump(
        {"cameras": [_camera(view) for view in VIEWS]}, sort_keys=False, width=110, default_flow_style=None
    )


def _camera(view: View) -> dict[str, Any]:
    scene = Scene(view.seed, view.variant, *SIZE, FPS)
    analysis = analysis_yaml(scene.geometry, zones=True)
    chosen = {name: analysis[name] for name in ("model", "signals", "rules", "ground")}
    rounded: dict[str, Any] = _rounded(chosen)
    return {"id": view.camera, "source": {"url": f"rtsp://rtsp:8554/{view.camera}"}, "analysis": rounded}


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return value


if __name__ == "__main__":
    print(text(), end="")

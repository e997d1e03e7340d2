"""What the REST interface answers about comparisons of two models."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

ModelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", examples=["yolox-nano"])]


class ExperimentWanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", examples=["trial"])
    a: ModelName = Field(description="the model that the cameras have now")
    b: ModelName = Field(description="the model that a share of them gets")
    share: float = Field(0.5, gt=0, lt=1, description="of the cameras, for b")


class ExperimentCamera(BaseModel):
    camera: str = Field(examples=["junction-north"])
    arm: Literal["a", "b"]
    model: str = Field(description="that it is analysed with, from its next keyframe on")
    since: str = Field(description="when this camera's record was written last, RFC 3339")


class ExperimentInfo(BaseModel):
    name: str
    a: str
    b: str
    since: str = Field(description="of the camera whose record is the oldest")
    cameras: list[ExperimentCamera]


class ExperimentList(BaseModel):
    experiments: list[ExperimentInfo]


class ExperimentEnded(BaseModel):
    name: str
    cameras: dict[str, str] = Field(
        description="the model of each camera from now on", examples=[{"hall": "yolox-nano"}]
    )


class ExperimentReport(BaseModel):
    """What `rewatch ab report --json` prints."""

    a: str
    b: str
    window_seconds: float
    windows: dict[str, int] = Field(description="by arm: those in which its model and no other has answered")
    cameras: list[dict[str, Any]] = Field(description="events per hour of each camera, by kind")
    kinds: list[dict[str, Any]] = Field(
        description="of each kind of event, and of all: both means, their difference with its 95% interval, p, verdict"
    )
    seed: int

"""What the routes work with: made once by the composition root."""

from collections.abc import Callable

from msgspec import Struct

from gateway.experiments import Experiments
from gateway.hub import Hub
from gateway.jobs import Jobs
from gateway.log import Log
from gateway.models import Models
from gateway.probe import FrameProbe
from gateway.replays import Replays
from gateway.roster import Roster
from gateway.video import Channels
from runtime.config import Settings


class Services(Struct, frozen=True):
    settings: Settings
    log: Log
    events: Hub
    detections: Hub
    roster: Roster
    probe: FrameProbe
    channels: Channels
    jobs: Jobs
    replays: Replays
    experiments: Experiments
    models: Models
    clock: Callable[[], float]
    """seconds since 1970"""

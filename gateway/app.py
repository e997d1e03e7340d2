"""The gateway's composition root."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from gateway.experiments import Experiments
from gateway.guard import Guard, Rate
from gateway.hub import Hub
from gateway.jobs import Jobs
from gateway.kafka_log import KafkaLog
from gateway.log import Log, LogUnavailable
from gateway.models import AnyModel, Models, TritonModels
from gateway.probe import FrameProbe
from gateway.replays import Replays
from gateway.roster import Roster
from gateway.routes import analyze, cameras, health, history, streams, video
from gateway.routes import experiments as experiment_routes
from gateway.routes import ledger as ledger_routes
from gateway.routes import replays as replay_routes
from gateway.routes import windows as window_routes
from gateway.services import Services
from gateway.video import Channels
from runtime.config import Settings
from runtime.heartbeat import Heart
from runtime.logging import logger
from schemas.topics import CAMERAS, DETECTIONS, EVENTS, HEARTBEATS, LEDGER, REPLAYS

_WEB: Final = Path(__file__).parent / "web"
_LOOPBACK: Final = {"127.0.0.1", "localhost", "::1"}
_RETRY_SECONDS: Final = 2.0
_RATE: Final = (50.0, 200.0)
"""requests per second and burst of one client; the page needs about one a second"""


def build_app(
    settings: Settings,
    *,
    log: Log | None = None,
    models: Models | None = None,
    clock: Callable[[], float] = time.time,
) -> FastAPI:
    """Everything the gateway is, wired. Nothing runs before the application's lifespan begins."""
    port: Log = log if log is not None else KafkaLog(settings.kafka, settings.replication_factor)
    catalogue = models
    if catalogue is None:
        catalogue = TritonModels(settings.triton_http) if settings.triton_http else AnyModel()

    def back(seconds: float) -> Callable[[], int]:
        return lambda: int((clock() - seconds) * 1000)

    specs = Hub(port, CAMERAS.name, since=lambda: 0)
    detections = Hub(port, DETECTIONS.name, since=back(60))
    ledger = Hub(port, LEDGER.name, since=back(120))
    events = Hub(port, EVENTS.name, since=back(3600))
    heartbeats = Hub(port, HEARTBEATS.name, since=back(30))
    requested = Hub(port, REPLAYS.name, since=lambda: 0)
    hubs = [specs, detections, ledger, events, heartbeats, requested]
    roster = Roster(clock)
    roster.follow(specs, detections, ledger, events, heartbeats)
    channels = Channels(port, clock)
    jobs = Jobs(port, roster, settings.uploads_dir, clock)
    jobs.follow(ledger, detections)
    replays = Replays(clock)
    replays.follow(requested)
    experiments = Experiments(port)
    experiments.follow(specs)
    probe = FrameProbe(port, roster, clock)
    services = Services(
        settings, port, events, detections, roster, probe, channels, jobs, replays, experiments, catalogue, clock
    )

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(port.close)
            stack.push_async_callback(catalogue.close)
            tasks = [asyncio.create_task(_open_and_run(port, hubs)), asyncio.create_task(jobs.sweep())]
            stack.push_async_callback(_cancel, tasks)
            stack.push_async_callback(channels.close)
            stack.push_async_callback(jobs.close)
            if log is None:
                heart = Heart(settings, "gateway")
                heart.start()
                stack.push_async_callback(heart.stop)
            yield

    app = FastAPI(
        title="Rewatch",
        version="1",
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # both pages load scripts from elsewhere
        redoc_url=None,
        openapi_tags=_TAGS,
    )
    app.state.services = services
    for made in (
        cameras, history, ledger_routes, window_routes, analyze, replay_routes, experiment_routes, streams, video,
        health,
    ):  # fmt: skip
        app.include_router(made.router(services))
    app.mount("/static", StaticFiles(directory=_WEB), name="static")

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(_WEB / "index.html", headers={"cache-control": "no-cache"})

    app.add_middleware(
        Guard,
        token=settings.api_token.get_secret_value(),
        loopback_only=settings.http_host in _LOOPBACK,
        rate=Rate(*_RATE),
    )
    return app


async def _open_and_run(log: Log, hubs: list[Hub]) -> None:
    while True:
        try:
            await log.open()
            break
        except LogUnavailable as error:
            logger("gateway").warning("log away", error=str(error))
            await asyncio.sleep(_RETRY_SECONDS)
    async with asyncio.TaskGroup() as group:
        for hub in hubs:
            group.create_task(hub.run())


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


_DESCRIPTION = """Real-time video analytics on Kafka that can watch any moment again.

Everything is read from the log; there is no database behind this interface.

**WebSockets** (JSON messages `{type, cursor, data}`):

- `/ws/events?camera=&kind=&cursor=`: events as they come. With the `cursor` of the last message (or `next` of a page
  of `GET /events`) a client that was away gets what it missed first, nothing twice and nothing left out.
  `heartbeat` messages carry a cursor too. A client that reads too slowly is closed with code 1013.
- `/ws/detections?camera=`: boxes of every analysed frame, live.

  What belongs to uploaded files comes, here and in the pages, only to those who ask for it by `camera`.
- `/ws/video/{camera}`: binary messages, one access unit each: a line of JSON, then Annex B bytes.

With a token configured: header `Authorization: Bearer …`; WebSockets also `?token=…` or the subprotocols
`bearer, …`.
"""

_TAGS = [
    {"name": "cameras", "description": "What is watched, and how well."},
    {"name": "history", "description": "Pages of the log."},
    {"name": "analysis", "description": "Analyse a file with a model."},
    {"name": "replays", "description": "Look again at what is in the log."},
    {"name": "experiments", "description": "Two models on shares of the cameras."},
    {"name": "health", "description": "For orchestrators and Prometheus; no token wanted."},
]

"""The composition root of the recorder process."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

from processors.agents.record import record_agent
from processors.app import ProgressApp, build_app
from processors.recorder import Recorder
from processors.store import Store
from processors.store_choice import open_store
from processors.watermarks import kafka_watermarks
from runtime.config import Settings
from runtime.health import HealthServer
from runtime.heartbeat import Heart
from runtime.logging import logger
from runtime.metrics import RECORD_LAG

GROUP = "rewatch-recorder"
FETCH = (256 * 1024, 1000)
"""points are written about once a second: fetching each record by itself would cost the broker more than the records"""

_log = logger("recorder")


def build_recorder(settings: Settings, store: Store | None = None) -> ProgressApp:
    """Opens nothing yet, but a `store` that is given. Everything is closed, in reverse, when the app stops."""
    crashed: list[BaseException] = []

    def crash(error: BaseException) -> None:
        crashed.append(error)
        asyncio.get_running_loop().create_task(app.crash(error))

    recorder = Recorder(kafka_watermarks(settings.kafka), crash)

    async def resources(app: ProgressApp, exit_stack: AsyncExitStack) -> None:
        opened = store if store is not None else await asyncio.to_thread(open_store, settings)
        exit_stack.callback(opened.close)
        await recorder.start(opened)
        exit_stack.push_async_callback(recorder.stop)
        lag = asyncio.create_task(_measure_lag(lambda: app.consumer, recorder))
        exit_stack.callback(lag.cancel)

        def live() -> str:
            return repr(crashed[0]) if crashed else ""

        def ready() -> str:
            return recorder.trouble if recorder.joined else "no partitions assigned yet"

        health = HealthServer(settings.http_host, settings.http_port, live, ready)
        await health.start()
        exit_stack.push_async_callback(health.stop)
        heart = Heart(settings, "recorder", details=lambda: {"store": settings.store})
        heart.start()
        exit_stack.push_async_callback(heart.stop)
        _log.info("listening", port=health.port, store=settings.store)

    app = build_app(GROUP, settings, recorder, resources, FETCH)
    record_agent(app, recorder)
    return app


async def _measure_lag(consumer: Callable[[], Any], recorder: Recorder) -> None:
    while True:
        await asyncio.sleep(1.0)
        for tp in consumer().assignment():
            position, high = recorder.position((tp.topic, tp.partition)), consumer().highwater(tp)
            if position is not None and high is not None:
                RECORD_LAG.labels(tp.topic, str(tp.partition)).set(max(0, high - position))

"""`rewatch replayer`: tries failed windows again, and carries out requested replays."""

import asyncio
import signal

from replay.service import serve
from runtime.config import Settings
from runtime.logging import configure


def replayer() -> None:
    """Try failed windows again and carry out requested replays, until stopped."""
    settings = Settings()
    configure(settings.log_level, settings.log_json, role="replayer")
    asyncio.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await serve(settings, stop)

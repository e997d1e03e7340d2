"""The product's own processes, with a decoder that does not survive one access unit.

`python -m tests.e2e.poisoned (worker|replayer|attempt|errand) (kill|hang)`
"""

import asyncio
import os
import signal
import sys
import threading
from typing import Final

import processors.decoding
from cli.worker import worker
from replay.attempt import main as attempt
from replay.errand import main as errand
from replay.service import serve
from runtime.config import Settings
from runtime.logging import configure
from schemas.messages import AccessUnit
from vision.decoder import GopDecoder, Picture

CAMERA: Final = "bad"
GOP: Final = 4
INDEX: Final = 7


def command(role: str, end: str) -> tuple[str, ...]:
    return sys.executable, "-m", "tests.e2e.poisoned", role, end


class KilledDecoder(GopDecoder):
    def decode(self, unit: AccessUnit) -> list[Picture]:
        if (unit.camera, unit.gop, unit.index) == (CAMERA, GOP, INDEX):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().decode(unit)


class HangingDecoder(GopDecoder):
    def decode(self, unit: AccessUnit) -> list[Picture]:
        if (unit.camera, unit.gop, unit.index) == (CAMERA, GOP, INDEX):
            threading.Event().wait()
        return super().decode(unit)


def replayer(end: str) -> None:
    settings = Settings()
    configure(settings.log_level, settings.log_json, role="replayer")
    asyncio.run(serve(settings, asyncio.Event(), command("attempt", end), command("errand", end)))


def main() -> None:
    role, end = sys.argv[1:3]
    decoder = {"kill": KilledDecoder, "hang": HangingDecoder}[end]
    setattr(processors.decoding, "GopDecoder", decoder)  # noqa: B010 - it is what stands for a codec's bug
    match role:
        case "worker":
            worker()
        case "replayer":
            replayer(end)
        case "attempt":
            attempt()
        case "errand":
            errand()


if __name__ == "__main__":
    main()

"""What became of GOPs that failed."""

from pathlib import Path
from typing import Any

import msgspec

from schemas.messages import AnalysisLedger, FailedWindow
from tests.gateway.asgi import Gateway, gateway, settings


def window(camera: str, offset: int, **more: Any) -> FailedWindow:
    return FailedWindow(camera, "s1", offset, "frames", 3, offset, offset, offset + 14, "corrupt", **more)


def entry(camera: str, offset: int, revision: int, failed: int = 0) -> AnalysisLedger:
    return AnalysisLedger(
        camera, "s1", offset, 1, 15, 15 - failed, 15 - failed, 0, failed, "frames", 3, offset, revision=revision
    )


async def states(found: Gateway, query: str = "") -> dict[int, str]:
    answer = (await found.http.get(f"/windows{query}")).json()
    assert answer["complete"]
    return {one["window"]["keyframe_offset"]: one["state"] for one in answer["windows"]}


async def test_each_window_says_what_became_of_it(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        write = found.writer.result
        assert await states(found) == {}
        for offset in (10, 20, 30):
            write(window("lobby", offset))
            write(entry("lobby", offset, 0, failed=15))
        write(window("yard", 40))
        assert await states(found) == dict.fromkeys((10, 20, 30, 40), "waiting")
        write(entry("lobby", 20, 1))
        write(msgspec.structs.replace(window("lobby", 30), attempt=3, given_up=True, reason="still corrupt"))
        assert await states(found, "?camera=lobby") == {10: "waiting", 20: "repaired", 30: "given up"}
        assert await states(found, "?state=given%20up") == {30: "given up"}
        write(msgspec.structs.replace(window("lobby", 20), attempt=1, shed=True))
        assert (await states(found))[20] == "behind"


async def test_wrong_questions_and_unreadable_records(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        assert (await found.http.get("/windows?state=lost")).status_code == 422
        assert (await found.http.get("/windows?from=yesterday")).status_code == 422
        await found.log.publish("failed-windows", b"lobby", b"{nonsense")
        assert await states(found) == {}

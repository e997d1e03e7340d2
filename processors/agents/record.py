"""The record agent: Faust's streams of the result topics, handed record by record to the recorder."""

from typing import Any

from processors.app import ProgressApp, channel
from processors.recorder import Recorder
from processors.store import RECORDED


def record_agent(app: ProgressApp, recorder: Recorder) -> None:
    """One agent a topic, concurrency 1: records reach the recorder in the order of their partition."""

    async def results(stream: Any) -> None:
        async for event in stream.events():
            message = event.message
            try:
                await recorder.take((message.topic, message.partition), message.offset, message.value)
            except Exception as error:
                # left alone, Faust would go on with the next record
                await app.crash(error)
                raise

    for topic in RECORDED.values():
        app.agent(channel(app, topic), name=f"record-{topic.name}")(results)

"""The camera agent: Faust's stream of a frames topic, handed record by record to the sessions."""

from typing import Any

from processors.app import ProgressApp, channel
from processors.worker import CameraWorker
from schemas.topics import Topic


def camera_agent(app: ProgressApp, topic: Topic, worker: CameraWorker) -> Any:
    """One agent, concurrency 1: two would break the order of a camera's records."""

    async def frames(stream: Any) -> None:
        async for event in stream.events():
            message = event.message
            try:
                await worker.take(
                    (message.topic, message.partition),
                    message.offset,
                    message.key,
                    message.value,
                    dict(message.headers or ()),
                )
            except Exception as error:
                # left alone, Faust would go on with the next record
                await app.crash(error)
                raise

    return app.agent(channel(app, topic), name=f"camera-{topic.name}")(frames)

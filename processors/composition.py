"""The composition root of the worker process."""

import asyncio
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack

from processors.agents.camera import camera_agent
from processors.app import ProgressApp, build_app
from processors.keyframe_index import KeyframeNotes
from processors.pace import MeasuredPace
from processors.publisher import KafkaPublisher
from processors.session import SessionPorts
from processors.triton import TritonDetector
from processors.watch import Watch
from processors.watermarks import kafka_watermarks
from processors.worker import CameraWorker, checkpoint_reader
from runtime.config import Settings
from schemas.topics import FRAMES, FRAMES_BATCH

CRASH_SECONDS = 15.0
CRASH_STATUS = 70
RESULTS_LINGER_SHARE = 5
"""access units that came together are done one after the other, closer together than they were taken"""


def build_worker(settings: Settings) -> ProgressApp:
    """Opens nothing yet: everything is opened when the app starts and closed, in reverse, when it stops."""
    topic = {FRAMES.name: FRAMES, FRAMES_BATCH.name: FRAMES_BATCH}[settings.worker_topic]
    name = f"rewatch-worker-{topic.name}"
    crashed: list[BaseException] = []

    def crash(error: BaseException) -> None:
        crashed.append(error)
        # a thread that hangs in a decoder would be waited for at the end, for ever
        last_resort = threading.Timer(CRASH_SECONDS, os._exit, [CRASH_STATUS])
        last_resort.daemon = True
        last_resort.start()
        asyncio.get_running_loop().create_task(app.crash(error))

    watermarks = kafka_watermarks(settings.kafka)
    keyframes = KeyframeNotes(settings.redis, topic)
    worker = CameraWorker(
        topic.name,
        checkpoint_reader(settings.kafka, topic.name),
        watermarks,
        crash,
        keyframes.note,
    )

    async def resources(app: ProgressApp, exit_stack: AsyncExitStack) -> None:
        publisher = KafkaPublisher(
            settings.kafka,
            name,
            lambda why: crash(RuntimeError(f"not delivered: {why}")),
            settings.linger_ms // RESULTS_LINGER_SHARE,
        )
        exit_stack.push_async_callback(publisher.stop)
        detector = TritonDetector(settings.triton, settings.triton_shared_memory)
        exit_stack.push_async_callback(detector.stop)
        threads = exit_stack.enter_context(ThreadPoolExecutor(settings.decode_threads, thread_name_prefix="decode"))
        # nobody waits for the frames of an upload: they are never left out
        pace = MeasuredPace(settings.latency_budget_ms if topic is FRAMES else 0, time.time_ns)
        worker.start(SessionPorts(detector, publisher, threads, time.time_ns, settings.frames_in_flight, pace=pace))
        exit_stack.push_async_callback(worker.stop)
        await keyframes.start()
        exit_stack.push_async_callback(keyframes.stop)
        watch = Watch(settings, worker, detector, pace, lambda: app.consumer, watermarks, crashed, crash)
        await watch.start()
        exit_stack.push_async_callback(watch.stop)

    app = build_app(name, settings, worker, resources)
    camera_agent(app, topic, worker)
    return app

"""The Faust app, with the commit point taken out of Faust's hands.

Faust gives membership, assignment and dispatch. Left alone it commits past unfinished records, acknowledges records
whose agent raised, and drops fetched ones when partitions are paused; here it commits what CommitPoints calls safe and
starts where CommitPoints says, and the topics are read without acknowledgements (docs/adr/0004-faust.md).
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import AsyncExitStack
from typing import Any, cast

import faust
from faust.exceptions import ConsumerNotStarted
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from processors.commit_points import CommitPoints
from runtime.config import Settings
from schemas.topics import MAX_FRAME_BYTES, Topic


class _FetchThread(driver.AIOKafkaConsumerThread):
    """Fetches as eagerly as the app says; Faust has no setting for it."""

    def _create_worker_consumer(self, transport: driver.Transport) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_min_bytes, consumer._fetch_max_wait_ms = cast(ProgressApp, self.app).fetch
        return consumer


class ProgressConsumer(driver.Consumer):
    """Commits and seeks by the app's commit points."""

    app: "ProgressApp"

    def _new_consumer_thread(self) -> _FetchThread:
        return _FetchThread(self, loop=self.loop, beacon=self.beacon)

    def _filter_tps_with_pending_acks(self, topics: Iterable[Any] | None = None) -> Iterator[TP]:
        return iter([TP(*partition) for partition in self.app.commit_points.partitions()])

    def _new_offset(self, tp: TP) -> int | None:
        return self.app.commit_points.safe((tp.topic, tp.partition))

    def assignment(self) -> set[TP]:
        """Empty while the thread that fetches has not begun."""
        try:
            return set(super().assignment())
        except ConsumerNotStarted:
            return set()

    def highwater(self, tp: TP) -> int | None:  # type: ignore[override]
        """None where nothing was fetched yet, or the thread that fetches has just lost the partition."""
        try:
            return cast(int | None, super().highwater(tp))
        except (AssertionError, AttributeError, KeyError, ConsumerNotStarted):
            return None

    async def perform_seek(self) -> None:
        # Faust seeks to the committed offsets after every rebalance, last of all: seeks made in its callbacks are lost
        await super().perform_seek()
        committed = {(tp.topic, tp.partition): self._committed_offset[TP(*tp)] for tp in self.assignment()}
        wanted = await self.app.commit_points.assigned(committed)
        # In the thread that fetches: Faust's plain `seek` changes what that thread is working on
        await self.seek_wait({TP(*partition): offset for partition, offset in wanted.items()})

    async def wait_empty(self) -> None:
        # Called at every rebalance and at the end. What is open stays uncommitted and is read again. After a crash the
        # thread that would commit answers no more, and the process would wait for it for ever
        if not self.crashed:
            await self.app.commit_points.hand_over()
            await self.commit()


class ProgressTransport(driver.Transport):
    Consumer = ProgressConsumer


class ProgressApp(faust.App):
    """`resources` opens what the agents need once the loop runs; all is closed, in reverse, after the consumer."""

    commit_points: CommitPoints
    fetch: tuple[int, int]
    """the broker answers a fetch once it has so many bytes, or after so many milliseconds"""
    resources: Callable[["ProgressApp", AsyncExitStack], Awaitable[None]]
    _exit: AsyncExitStack

    def _create_directories(self) -> None:
        """Faust would make folders for its tables in the current one: there are no tables, and a container's root file
        system cannot be written."""

    async def on_start(self) -> None:
        await super().on_start()
        await self.resources(self, self._exit)

    async def on_stop(self) -> None:
        await super().on_stop()
        await self._exit.aclose()


def build_app(
    name: str,
    settings: Settings,
    commit_points: CommitPoints,
    resources: Callable[[ProgressApp, AsyncExitStack], Awaitable[None]],
    fetch: tuple[int, int] = (1, 1000),
) -> ProgressApp:
    """`name` is the consumer group. Agents are registered by the caller: `app.agent(channel, name=...)(function)`."""
    app = ProgressApp(
        name,
        broker=[f"kafka://{address.strip()}" for address in settings.kafka.split(",")],
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        key_serializer="raw",
        value_serializer="raw",
        # a few seconds of video; the default of 4096 records would be hundreds of megabytes
        stream_buffer_maxsize=64,
        broker_session_timeout=6.0,
        broker_heartbeat_interval=1.0,
        broker_commit_interval=1.0,
        producer_request_timeout=30.0,
        consumer_max_fetch_size=MAX_FRAME_BYTES,
        producer_max_request_size=MAX_FRAME_BYTES,
        consumer_auto_offset_reset="earliest",
        # a broker that has just come back does not know its topics yet: the group's leader then gives nobody anything,
        # and mends it only when it hears of them
        consumer_metadata_max_age_ms=3000,
        store="memory://",
    )
    app.commit_points = commit_points
    app.fetch = fetch
    app.resources = resources
    app._exit = AsyncExitStack()
    app.transport = ProgressTransport(app.conf.broker_consumer, app)
    return app


def channel(app: ProgressApp, topic: Topic) -> Any:
    """The topic as bytes, without Faust's acknowledgements."""
    return cast(
        Any,
        app.topic(
            topic.name, key_type=bytes, key_serializer="raw", value_type=bytes, value_serializer="raw", acks=False
        ),
    )

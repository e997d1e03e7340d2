"""A worker whose Kafka is away for a while, at the worst moments."""

from collections.abc import Iterator

import pytest
from confluent_kafka.admin import AdminClient

from cli.system import Processes
from devstack.stack import Stack
from schemas.topics import FRAMES, PARTITIONS
from tests.devstack.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

WORKERS = "rewatch-worker-frames"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(services=("kafka",)) as stack:
        Processes(stack, ()).start()
        yield stack


def test_a_worker_that_starts_first_waits(stack: Stack) -> None:
    stack.service("kafka").kill()
    Processes(stack).add("worker")
    worker = stack.service("worker")
    assert until(lambda: "waiting for Kafka" in worker.log.read_text())
    stack.service("kafka").restart()
    worker.wait_ready(60)
    worker.stop()


def test_a_broker_that_ends_while_a_worker_joins(stack: Stack) -> None:
    """It comes back without knowing its topics at first, and gives the group's members nothing."""
    Processes(stack).add("worker-2")
    worker = stack.service("worker-2")
    assert until(lambda: '"listening"' in worker.log.read_text())
    stack.service("kafka").kill()
    stack.service("kafka").restart()
    if not worker.running:  # not even connected by then: its supervisor starts it again
        worker.restart()
    worker.wait_ready(60)
    assert until(lambda: _assigned(stack) == set(range(PARTITIONS)), 60), _assigned(stack)


def _assigned(stack: Stack) -> set[int]:
    """The partitions of the frames that some worker has, by the broker's own account."""
    admin = AdminClient({"bootstrap.servers": stack.addresses.kafka_bootstrap, "log_level": 0})
    described = admin.describe_consumer_groups([WORKERS], request_timeout=20)[WORKERS].result()
    return {
        partition.partition
        for member in described.members
        for partition in member.assignment.topic_partitions
        if partition.topic == FRAMES.name
    }

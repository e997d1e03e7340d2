"""A worker whose Kafka is away for a while, at the worst moments."""

from collections.abc import Iterator

import pytest

from cli.system import Processes
from devstack.stack import Stack
from tests.devstack.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


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

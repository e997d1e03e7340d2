from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, precondition, rule

from ingest.gop_queue import Account, GopQueue, Unit
from ingest.limits import Limits
from schemas.messages import AccessUnit, End, Gap

LIMITS = Limits(queue_bytes=1000, queue_gops=4, in_flight_bytes=300, access_unit_bytes=600)


def unit(gop: int, index: int, size: int = 100, session: str = "s") -> AccessUnit:
    return AccessUnit(
        "cam", session, gop, index, index == 0, "h264", 0, (1, 25), 16, 16, gop * 100 + index, bytes(size)
    )


class Counted:
    def __init__(self, limits: Limits = LIMITS) -> None:
        self.lost: dict[str, int] = {}
        self.queue = GopQueue(limits, lambda queue: None, self._count)

    def _count(self, reason: str, lost: int) -> None:
        self.lost[reason] = self.lost.get(reason, 0) + lost

    def fill(self, gop: int, pictures: int, size: int = 100, lost: dict[str, int] | None = None) -> Account:
        account = Account("cam", "s", gop, gop * 100)
        self.queue.begin(account, lost or {})
        for index in range(pictures):
            assert self.queue.put(unit(gop, index, size), {})
        return account

    def drain(self) -> list[AccessUnit | Gap | End]:
        out: list[AccessUnit | Gap | End] = []
        while (item := self.queue.take()) is not None:
            out.append(item.record if isinstance(item, Unit) else item)
            if isinstance(item, Unit):
                self.queue.acknowledged(item)
        return out


def names(items: list[AccessUnit | Gap | End]) -> list[Any]:
    return [
        (item.gop, item.index) if isinstance(item, AccessUnit) else (item.reason, item.lost)
        if isinstance(item, Gap) else "end"
        for item in items
    ]  # fmt: skip


def test_everything_leaves_in_order_and_settles() -> None:
    counted = Counted()
    counted.fill(0, 2)
    counted.fill(1, 2)
    assert names(counted.drain()) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert [account.gop for account in counted.queue.settled()] == [0], "the last group is still open"
    counted.queue.finish()
    assert [account.entry().published for account in counted.queue.settled()] == [2]


def test_the_oldest_group_goes_whole_and_leaves_a_gap() -> None:
    counted = Counted()
    for gop in range(3):
        counted.fill(gop, 4)
    assert counted.lost == {"queue_full": 4}
    (settled,) = counted.queue.settled()
    assert (settled.gop, settled.received, settled.lost, settled.reasons) == (0, 4, 4, {"queue_full"})
    counted.fill(3, 4)
    items = counted.drain()
    assert names(items)[0] == ("queue_full", 8)
    assert names(items)[1:] == [(gop, index) for gop in (2, 3) for index in range(4)]
    gap = items[0]
    assert isinstance(gap, Gap)
    assert (gap.from_ns, gap.to_ns) == (0, 103)


def test_a_group_that_has_begun_to_leave_is_kept_and_the_next_goes() -> None:
    counted = Counted()
    counted.fill(0, 4)
    first = counted.queue.take()
    assert isinstance(first, Unit)
    for gop in range(1, 4):
        counted.fill(gop, 4)
    counted.queue.acknowledged(first)
    assert names(counted.drain()) == [
        (0, 1), (0, 2), (0, 3), ("queue_full", 8), (3, 0), (3, 1), (3, 2), (3, 3),
    ]  # fmt: skip


def test_too_many_groups() -> None:
    counted = Counted(Limits(queue_bytes=10**9, queue_gops=2))
    for gop in range(5):
        counted.fill(gop, 1)
    assert names(counted.drain()) == [("queue_full", 3), (3, 0), (4, 0)]


def test_a_group_larger_than_the_queue_loses_its_tail_if_its_head_has_left() -> None:
    counted = Counted()
    account = counted.fill(0, 1)
    head = counted.queue.take()
    assert isinstance(head, Unit)
    for index in range(1, 20):
        counted.queue.put(unit(0, index), {})
    counted.queue.acknowledged(head)
    assert names(counted.drain()) == [*((0, index) for index in range(1, 11)), ("queue_full", 9)]
    counted.fill(1, 2)
    assert names(counted.drain()) == [(1, 0), (1, 1)]
    assert (account.received, account.published, account.lost) == (20, 11, 9)


def test_a_group_larger_than_the_queue_goes_whole_if_nothing_has_left() -> None:
    counted = Counted()
    account = counted.fill(0, 20)
    counted.fill(1, 1)
    assert names(counted.drain()) == [("queue_full", 20), (1, 0)]
    assert account.settled


def test_an_access_unit_too_large_for_kafka_ends_its_group() -> None:
    counted = Counted()
    counted.fill(0, 2)
    counted.queue.put(unit(0, 2, size=601), {})
    counted.queue.put(unit(0, 3), {})
    counted.fill(1, 1)
    assert names(counted.drain()) == [(0, 0), (0, 1), ("too_large", 2), (1, 0)]
    assert counted.lost == {"too_large": 2}


def test_what_kafka_refuses_takes_the_rest_of_its_group() -> None:
    counted = Counted()
    account = counted.fill(0, 4)
    counted.fill(1, 1)
    first, second = counted.queue.take(), counted.queue.take()
    assert isinstance(first, Unit)
    assert isinstance(second, Unit)
    counted.queue.acknowledged(first)
    counted.queue.failed(second, "refused_by_kafka")
    assert names(counted.drain()) == [("refused_by_kafka", 3), (1, 0)]
    assert (account.published, account.lost, account.settled) == (1, 3, True)


def test_losses_in_front_of_a_group_are_on_its_account() -> None:
    counted = Counted()
    account = counted.fill(0, 2, lost={"before_keyframe": 3})
    counted.queue.put(unit(0, 2), {"open_gop_leading": 2})
    counted.drain()
    counted.queue.finish()
    entry = account.entry()
    assert (entry.received, entry.published, entry.lost) == (8, 3, 5)
    assert entry.reason == "before_keyframe,open_gop_leading"


def test_no_more_in_flight_than_allowed() -> None:
    counted = Counted()
    counted.fill(0, 4)
    taken = [counted.queue.take() for _ in range(4)]
    assert taken[3] is None
    assert isinstance(taken[0], Unit)
    counted.queue.acknowledged(taken[0])
    assert counted.queue.take() is not None


def test_the_end_waits_for_everything_and_tells_how_much_it_was() -> None:
    counted = Counted()
    counted.fill(0, 2)
    counted.queue.put_end(End("cam", "s", 0))
    units = [counted.queue.take(), counted.queue.take()]
    assert counted.queue.take() is None
    for item in units:
        assert isinstance(item, Unit)
        counted.queue.acknowledged(item)
    end = counted.queue.take()
    assert isinstance(end, End)
    assert end.published == 2


@pytest.mark.timeout(10)
def test_a_file_waits_for_room() -> None:
    import threading

    counted = Counted()
    counted.queue.blocking = True
    writer = threading.Thread(target=counted.fill, args=(0, 30))
    writer.start()
    got: list[Any] = []
    while len(got) < 30:
        got += counted.drain()
        assert counted.queue.waiting <= 10
    writer.join()
    assert counted.lost == {}


@pytest.mark.timeout(10)
def test_closing_frees_a_waiting_file() -> None:
    import threading

    counted = Counted()
    counted.queue.blocking = True
    counted.fill(0, 10)
    results: list[bool] = []
    writer = threading.Thread(target=lambda: results.append(counted.queue.put(unit(0, 10), {})))
    writer.start()
    counted.queue.close()
    writer.join(5)
    assert results == [False]
    assert len(counted.drain()) == 10, "what was in it still leaves"


def test_nothing_comes_after_the_end_of_a_closed_queue() -> None:
    counted = Counted()
    counted.fill(0, 2)
    counted.queue.close(End("cam", "s", 0))
    counted.queue.close(End("cam", "s", 0))
    counted.queue.put_gap(Gap("cam", "s", "late", 0, 1, 0))
    counted.queue.put_end(End("cam", "s", 0))
    counted.queue.begin(Account("cam", "s", 1, 0), {})
    assert not counted.queue.put(unit(1, 0), {})
    assert names(counted.drain()) == [(0, 0), (0, 1), "end"]


def test_giving_up_is_counted() -> None:
    counted = Counted()
    account = counted.fill(0, 4)
    taken = counted.queue.take()
    assert isinstance(taken, Unit)
    counted.queue.abandon("shutdown")
    assert counted.lost == {"shutdown": 3}
    counted.queue.failed(taken, "shutdown")
    assert account.settled
    assert counted.queue.unsettled == 0


class AnyOrder(RuleBasedStateMachine):
    """Whatever happens in whatever order: bounds hold, groups stay whole, and the books balance."""

    flying = Bundle("flying")

    @initialize()
    def start(self) -> None:
        self.counted = Counted()
        self.accounts: list[Account] = []
        self.sizes: dict[int, int] = {}
        self.sent: list[AccessUnit | Gap] = []
        self.refused: set[int] = set()

    @rule()
    def begin(self) -> None:
        account = Account("cam", "s", len(self.accounts), 0)
        self.accounts.append(account)
        self.sizes[account.gop] = 0
        self.counted.queue.begin(account, {})
        self.put(100)

    @precondition(lambda self: self.accounts)
    @rule(size=st.integers(1, 700))
    def put(self, size: int) -> None:
        gop = self.accounts[-1].gop
        self.counted.queue.put(unit(gop, self.sizes[gop], size), {})
        self.sizes[gop] += 1

    @rule(target=flying)
    def take(self) -> Any:
        item = self.counted.queue.take()
        if item is not None:
            self.sent.append(item.record if isinstance(item, Unit) else item)  # type: ignore[arg-type]
        return item

    @rule(item=consumes(flying))
    def acknowledge(self, item: Any) -> None:
        if isinstance(item, Unit):
            self.counted.queue.acknowledged(item)

    @rule(item=consumes(flying))
    def refuse(self, item: Any) -> None:
        if isinstance(item, Unit):
            self.refused.add(item.record.gop)
            self.counted.queue.failed(item, "refused_by_kafka")

    @invariant()
    def bounded(self) -> None:
        if hasattr(self, "counted"):
            queue = self.counted.queue
            assert queue._bytes <= LIMITS.queue_bytes
            assert queue._bytes >= 0
            assert queue.waiting >= 0
            assert len(queue._gops()) <= LIMITS.queue_gops + 1

    @invariant()
    def whole(self) -> None:
        if hasattr(self, "counted"):
            seen: dict[int, int] = {}
            for record in self.sent:
                if isinstance(record, AccessUnit):
                    assert record.index == seen.get(record.gop, 0), "a group leaves from its start, without holes"
                    seen[record.gop] = record.index + 1

    def teardown(self) -> None:
        if not hasattr(self, "counted"):
            return
        queue = self.counted.queue
        queue.abandon("shutdown")
        for account in self.accounts:
            assert account.closed
            assert account.received == self.sizes[account.gop]
            assert account.published + account.lost <= account.received
        in_flight = sum(account.received - account.published - account.lost for account in self.accounts)
        assert in_flight == queue.unsettled
        assert sum(self.counted.lost.values()) == sum(account.lost for account in self.accounts)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = hypothesis_settings(max_examples=60, stateful_step_count=60)

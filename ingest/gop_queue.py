"""What one camera has not yet been able to publish. Bounded; what does not fit goes by whole groups of pictures."""

import threading
from collections import deque
from collections.abc import Callable

import msgspec
from msgspec import Struct

from ingest.limits import Limits
from schemas.messages import AccessUnit, End, Gap, IngestLedger


class Account(Struct, eq=False):
    """What became of one group of pictures. Changed only by its queue."""

    camera: str
    session: str
    gop: int
    captured_ns: int
    received: int = 0
    published: int = 0
    lost: int = 0
    reasons: set[str] = msgspec.field(default_factory=set)
    closed: bool = False
    refused: str = ""
    """why no further access unit of this group is taken; empty: they are"""

    @property
    def settled(self) -> bool:
        return self.closed and self.received == self.published + self.lost

    def entry(self) -> IngestLedger:
        return IngestLedger(
            camera=self.camera,
            session=self.session,
            gop=self.gop,
            captured_ns=self.captured_ns,
            received=self.received,
            published=self.published,
            lost=self.lost,
            reason=",".join(sorted(self.reasons)),
        )


class Unit(Struct, frozen=True):
    """An access unit on its way, and the account it belongs to."""

    record: AccessUnit
    account: Account


class _Gop(Struct, eq=False):
    account: Account
    units: deque[AccessUnit]
    begun: bool = False
    """some of it has left the queue"""


class GopQueue:
    """Filled by the camera's thread, emptied by the publisher's, settled by the producer's callbacks.

    `blocking`: a full queue makes the camera wait (files); otherwise the oldest group that has not begun to leave is
    dropped whole, and a gap takes its place.
    """

    def __init__(
        self,
        limits: Limits,
        wake: Callable[["GopQueue"], None],
        on_lost: Callable[[str, int], None],
    ) -> None:
        """`wake`: there may be something to take or to settle; called without the lock."""
        self._limits = limits
        self.blocking = False
        self._wake = wake
        self._on_lost = on_lost
        self._changed = threading.Condition()
        self._items: list[_Gop | Gap | End] = []
        self._current: Account | None = None
        self._settled: list[Account] = []
        self._bytes = 0
        self._waiting = 0
        self._in_flight = 0
        self._in_flight_bytes = 0
        self._held_back = False
        self._closed = False
        self.published = 0

    # --- the camera's side

    def begin(self, account: Account, lost: dict[str, int]) -> None:
        """A group begins; `lost` pictures before it belong to its account."""
        with self._changed:
            self._finish()
            if self._closed:
                return
            self._current = account
            self._items.append(_Gop(account, deque()))
            self._note_lost(account, lost)

    def put(self, record: AccessUnit, lost: dict[str, int]) -> bool:
        """Appends to the group begun last. False: the queue was closed meanwhile, nothing was taken."""
        size = len(record.data)
        with self._changed:
            while self.blocking and self._waiting_for_room(size) and not self._closed:
                self._changed.wait(1.0)
            if self._closed:
                return False
            account = self._current
            assert account is not None, "put before begin"
            self._note_lost(account, lost)
            account.received += 1
            if size > self._limits.access_unit_bytes:
                account.refused = account.refused or "too_large"
            elif not account.refused:
                self._make_room(size)
            if account.refused:
                self._lose(account, account.refused, 1, record.captured_ns, record.captured_ns)
            else:
                gop = self._items[-1]
                assert isinstance(gop, _Gop)
                gop.units.append(record)
                self._bytes += size
                self._waiting += 1
        self._wake(self)
        return True

    def put_gap(self, gap: Gap) -> None:
        with self._changed:
            if self._closed:
                return
            self._finish()
            self._items.append(gap)
        self._wake(self)

    def put_end(self, end: End) -> None:
        """`end.published` is filled in when everything before it is acknowledged."""
        with self._changed:
            if self._closed:
                return
            self._finish()
            self._items.append(end)
        self._wake(self)

    def finish(self) -> None:
        """The session is over: the group begun last is complete."""
        with self._changed:
            self._finish()
        self._wake(self)

    def close(self, end: End | None = None) -> None:
        """Takes nothing more, after `end`; what is in it may still leave. Once closed, closing changes nothing."""
        with self._changed:
            self._finish()
            if end is not None and not self._closed:
                self._items.append(end)
            self._closed = True
            self._changed.notify_all()
        self._wake(self)

    # --- the publisher's side

    def take(self) -> Unit | Gap | End | None:
        """The next record, or None while there is none, or while too much is in flight."""
        with self._changed:
            self._held_back = False
            while self._items:
                head = self._items[0]
                if isinstance(head, _Gop):
                    if not head.units:
                        if not head.account.closed and not head.account.refused:
                            return None
                        self._items.pop(0)
                        continue
                    size = len(head.units[0].data)
                    if self._in_flight and self._in_flight_bytes + size > self._limits.in_flight_bytes:
                        self._held_back = True
                        return None
                    head.begun = True
                    self._bytes -= size
                    self._waiting -= 1
                    self._in_flight += 1
                    self._in_flight_bytes += size
                    self._changed.notify_all()
                    return Unit(head.units.popleft(), head.account)
                if isinstance(head, End):
                    if self._in_flight:
                        self._held_back = True
                        return None
                    self._items.pop(0)
                    return msgspec.structs.replace(head, published=self.published)
                self._items.pop(0)
                return head
            return None

    def acknowledged(self, unit: Unit) -> None:
        with self._changed:
            self._landed(unit)
            self.published += 1
            unit.account.published += 1
            self._settle(unit.account)
            # most acknowledgements change nothing for the publisher: it sleeps on
            due = self._held_back or bool(self._settled) or self._closed
        if due:
            self._wake(self)

    def failed(self, unit: Unit, reason: str) -> None:
        """Kafka refused it for good: the rest of its group cannot be decoded and goes the same way."""
        with self._changed:
            self._landed(unit)
            account = unit.account
            account.refused = account.refused or reason
            captured = unit.record.captured_ns
            position = next(
                (i for i, item in enumerate(self._items) if isinstance(item, _Gop) and item.account is account), None
            )
            if position is None:
                self._count(account, reason, 1)
                self._insert_gap(0, account, reason, 1, captured, captured)
            else:
                rest = self._drop_units(position)
                last = rest[-1].captured_ns if rest else captured
                self._count(account, reason, 1 + len(rest))
                self._insert_gap(position + 1, account, reason, 1 + len(rest), captured, last)
            self._settle(account)
        self._wake(self)

    def settled(self) -> list[Account]:
        """Accounts that became final since the last call."""
        with self._changed:
            settled, self._settled = self._settled, []
            return settled

    @property
    def idle(self) -> bool:
        with self._changed:
            return not self._items and not self._in_flight and not self._settled

    @property
    def waiting(self) -> int:
        """Access units in the queue."""
        return self._waiting

    @property
    def unsettled(self) -> int:
        """Access units in the queue and in flight."""
        with self._changed:
            return self._waiting + self._in_flight

    def abandon(self, reason: str) -> None:
        """Gives up what is still in the queue, counted."""
        with self._changed:
            self._closed = True
            self._finish()
            for position, item in enumerate(self._items):
                if isinstance(item, _Gop):
                    rest = self._drop_units(position)
                    self._count(item.account, reason, len(rest))
                    self._settle(item.account)
            self._items.clear()
            self._changed.notify_all()

    # --- with the lock held

    def _finish(self) -> None:
        if self._current is not None:
            self._current.closed = True
            self._settle(self._current)
            self._current = None

    def _settle(self, account: Account) -> None:
        if account.settled:
            self._settled.append(account)

    def _landed(self, unit: Unit) -> None:
        self._in_flight -= 1
        self._in_flight_bytes -= len(unit.record.data)

    def _waiting_for_room(self, size: int) -> bool:
        return self._bytes > 0 and self._bytes + size > self._limits.queue_bytes

    def _gops(self) -> list[int]:
        return [i for i, item in enumerate(self._items) if isinstance(item, _Gop)]

    def _make_room(self, size: int) -> None:
        while not self.blocking and not self._fits(size):
            gops = self._gops()
            victim = next((i for i in gops if not self._begun(i)), None)
            if victim is None:
                # only the group under way is left: its tail goes, which decodes as well as a whole group does
                assert self._current is not None
                self._current.refused = "queue_full"
                return
            self._drop_gop(victim)
            assert self._current is not None
            if self._current.refused:
                return

    def _fits(self, size: int) -> bool:
        most = self._limits.queue_gops
        return self._bytes + size <= self._limits.queue_bytes and (
            len(self._items) <= most or len(self._gops()) <= most
        )

    def _begun(self, position: int) -> bool:
        item = self._items[position]
        return isinstance(item, _Gop) and item.begun

    def _drop_gop(self, position: int) -> None:
        gop = self._items[position]
        assert isinstance(gop, _Gop)
        units = self._drop_units(position)
        account = gop.account
        if account is self._current:
            account.refused = "queue_full"
        self._items.pop(position)
        if units:
            self._count(account, "queue_full", len(units))
            self._insert_gap(
                position, account, "queue_full", len(units), units[0].captured_ns, max(u.captured_ns for u in units)
            )
        self._settle(account)

    def _drop_units(self, position: int) -> list[AccessUnit]:
        gop = self._items[position]
        assert isinstance(gop, _Gop)
        units = list(gop.units)
        gop.units.clear()
        self._bytes -= sum(len(unit.data) for unit in units)
        self._waiting -= len(units)
        return units

    def _lose(self, account: Account, reason: str, lost: int, from_ns: int, to_ns: int) -> None:
        self._count(account, reason, lost)
        self._insert_gap(len(self._items), account, reason, lost, from_ns, to_ns)

    def _insert_gap(self, position: int, account: Account, reason: str, lost: int, from_ns: int, to_ns: int) -> None:
        """One gap for neighbours lost for the same reason."""
        before = self._items[position - 1] if position > 0 else None
        if isinstance(before, Gap) and before.reason == reason and before.session == account.session:
            self._items[position - 1] = msgspec.structs.replace(
                before, to_ns=max(before.to_ns, to_ns), lost=before.lost + lost
            )
            return
        self._items.insert(position, Gap(account.camera, account.session, reason, from_ns, to_ns, lost))

    def _note_lost(self, account: Account, lost: dict[str, int]) -> None:
        for reason, count in lost.items():
            account.received += count
            self._count(account, reason, count)

    def _count(self, account: Account, reason: str, lost: int) -> None:
        if lost:
            account.lost += lost
            account.reasons.add(reason)
            self._on_lost(reason, lost)

"""Cursors, moments, partitions: small parts on their own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import cursor, moment
from gateway.cursor import BadCursor
from gateway.log import PositionGone
from schemas.partition import murmur2, partition_of

NOW = 1_800_000_000 * 10**9
OFFSETS = st.integers(0, 2**62)


@given(st.lists(OFFSETS, min_size=1, max_size=24))
def test_a_cursor_comes_back_as_it_was(offsets: list[int]) -> None:
    position = dict(enumerate(offsets))
    assert cursor.decode(cursor.encode("events", position), "events", len(offsets)) == position


@given(st.text(max_size=60))
def test_no_text_is_taken_for_a_cursor(text: str) -> None:
    with pytest.raises(BadCursor):
        cursor.decode(text, "events", 12)


@given(st.integers(0, 40), st.characters(min_codepoint=48, max_codepoint=122))
def test_a_changed_cursor_is_refused(place: int, letter: str) -> None:
    good = cursor.encode("events", dict.fromkeys(range(12), 7))
    changed = good[:place] + letter + good[place + 1 :]
    if changed != good:
        with pytest.raises(BadCursor):
            cursor.decode(changed, "events", 12)


def test_a_cursor_belongs_to_one_topic_and_its_partitions() -> None:
    text = cursor.encode("events", {0: 1, 1: 2})
    with pytest.raises(BadCursor, match="belongs to events"):
        cursor.decode(text, "flow", 2)
    with pytest.raises(BadCursor, match="2 partitions"):
        cursor.decode(text, "events", 12)


def test_a_cursor_must_lie_within_the_log() -> None:
    text = cursor.encode("events", {0: 5, 1: 5})
    assert cursor.checked(text, "events", {0: 0, 1: 5}, {0: 5, 1: 9}) == {0: 5, 1: 5}
    with pytest.raises(BadCursor, match="beyond"):
        cursor.checked(text, "events", {0: 0, 1: 0}, {0: 4, 1: 9})
    with pytest.raises(PositionGone):
        cursor.checked(text, "events", {0: 6, 1: 0}, {0: 9, 1: 9})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-15m", NOW - 15 * 60 * 10**9),
        ("-250ms", NOW - 250 * 10**6),
        ("-2d", NOW - 2 * 86_400 * 10**9),
        ("now", NOW),
        ("2027-01-15T08:00:00Z", NOW),
        ("2027-01-15T08:00:00.000001Z", NOW + 1000),
        ("2027-01-15T09:00:00+01:00", NOW),
        ("2027-01-15T09:00:00 01:00", NOW),
    ],
)
def test_moments(text: str, expected: int) -> None:
    assert moment.parse(text, NOW, "from") == expected


@pytest.mark.parametrize(
    "text", ["", "yesterday", "-15", "15m", "2027-01-15T08:00:00", "2027-13-01T00:00:00Z", "-1y", "0"]
)
def test_what_is_no_moment_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match=r"^from: "):
        moment.parse(text, NOW, "from")


def test_murmur2_is_that_of_the_java_client() -> None:
    # from the tests of Kafka's own Utils.murmur2
    known = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536, b"abc": 479470107}
    for text, signed in known.items():
        assert murmur2(text) == signed & 0xFFFFFFFF
    assert {partition_of(f"camera-{n}".encode(), 12) for n in range(300)} == set(range(12))

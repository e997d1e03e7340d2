"""Points in time as people write them in a query."""

import re
from datetime import UTC, datetime
from typing import Final

_RELATIVE: Final = re.compile(r"-(\d{1,9})(ms|s|m|h|d)")
_UNIT_NS: Final = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86_400 * 10**9}
_EXPLAIN: Final = (
    "wants RFC 3339 such as 2026-03-01T12:00:00Z, `now`, or a span before now such as -15m (ms, s, m, h, d)"
)


def parse(text: str, now_ns: int, name: str) -> int:
    """Nanoseconds since 1970. Raises ValueError with a text that names the parameter."""
    text = text.strip()
    if text == "now":
        return now_ns
    if match := _RELATIVE.fullmatch(text):
        return max(0, now_ns - int(match[1]) * _UNIT_NS[match[2]])
    try:
        # an unescaped + in a query arrives as a space
        moment = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
    except ValueError as error:
        raise ValueError(f"{name}: {text[:64]!r} is no point in time; it {_EXPLAIN}") from error
    if moment.tzinfo is None:
        raise ValueError(f"{name}: {text[:64]!r} has no time zone; it {_EXPLAIN}")
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 10**9 + delta.microseconds * 1000

"""Times as people type them."""

from datetime import UTC, datetime

import typer


def nanoseconds(text: str, option: str) -> int:
    """`2025-11-21T06:00` (UTC unless it says), or nanoseconds since 1970. Raises typer.BadParameter."""
    if text.isdigit():
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither a time nor nanoseconds", param_hint=option) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0, int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000)

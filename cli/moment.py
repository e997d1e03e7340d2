"""Times as people type them."""

import time
from datetime import UTC, datetime
from typing import Final

import typer

from gateway.moment import parse

FORMS: Final = "2025-11-21T06:00 (UTC unless it says), now, -15m, or ns"


def nanoseconds(text: str, option: str) -> int:
    """Since 1970; `text` is one of FORMS. Raises typer.BadParameter."""
    if text.isdigit():
        return int(text)
    if text == "now" or text.startswith("-"):
        try:
            return parse(text, time.time_ns(), option)
        except ValueError:
            raise typer.BadParameter(f"{text!r} is no time: {FORMS}", param_hint=option) from None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no time: {FORMS}", param_hint=option) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0, int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000)

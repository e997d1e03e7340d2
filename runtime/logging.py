"""Structured logs on stderr. URLs lose their passwords before they are written."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_CREDENTIALS = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^/@\s]+@", re.IGNORECASE)


def redact(text: str) -> str:
    """`rtsp://user:secret@host/` becomes `rtsp://***@host/`."""
    return _CREDENTIALS.sub(r"\g<scheme>***@", text)


def _redact_values(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: redact(value) if isinstance(value, str) else value for key, value in event.items()}


def configure(level: str, as_json: bool, **bound: str) -> None:
    """Once, by the composition root. `bound` goes on every line, such as role=ingest."""
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, force=True)
    renderer: Any = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _redact_values,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(**bound)


def logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """Lazy: bound at the first line, so that a module may have one before `configure` was called."""
    made: structlog.typing.FilteringBoundLogger = structlog.get_logger(part=name)
    return made

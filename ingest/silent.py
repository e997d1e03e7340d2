"""librdkafka writes to stderr on its own, several lines a second while a broker is away. Here it does not."""

import logging
from typing import Any, Final

_logger = logging.getLogger("ingest.librdkafka")
_logger.setLevel(logging.CRITICAL)

SILENT: Final[dict[str, Any]] = {"logger": _logger}
"""for a client's configuration; whoever uses it says in the structured log what matters"""

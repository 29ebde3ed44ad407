"""Structured logs: one JSON object a line, on standard error.

configure_logs("info", node_id="bizchain-1", chain="bizchain")

Loggers are made once and kept, standard error may be exchanged meanwhile: it is looked up at every
line, so that no logger writes into a stream that was closed.
"""

from __future__ import annotations

import io
import logging
import sys
from typing import TextIO, cast

import structlog

__all__ = ["configure_logs"]

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


class _StandardError(io.TextIOBase):
    """What `sys.stderr` is when a line is written."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def configure_logs(level: str, **context: str) -> None:
    """Send the logs of this process to standard error, from `level` on.

    `context` stands in every line. Logs of libraries, which use the standard module, join in.
    """
    stream = cast("TextIO", _StandardError())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(sort_keys=True, default=str),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(**context)
    logging.basicConfig(stream=stream, level=max(_LEVELS[level], logging.WARNING), force=True)

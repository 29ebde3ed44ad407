"""A logger outlives the stream that standard error was when it was made."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import redirect_stderr

import pytest
import structlog

from common.telemetry.logs import configure_logs


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.contextvars.clear_contextvars()
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_line_goes_to_what_standard_error_is_when_it_is_written() -> None:
    first, second = io.StringIO(), io.StringIO()
    log, library = structlog.get_logger(), logging.getLogger("a.library")
    with redirect_stderr(first):
        configure_logs("info", node_id="bizchain-1")
        log.info("before")
    first.close()
    with redirect_stderr(second):
        log.info("after")
        library.error("of a library")
    structured, plain = second.getvalue().splitlines()
    line = json.loads(structured)
    assert (line["event"], line["level"], line["node_id"]) == ("after", "info", "bizchain-1")
    assert plain.endswith("of a library")

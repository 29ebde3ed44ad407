"""Logs go to standard error, one JSON object a line, of this product and of its libraries."""

import io
import json
import logging
from contextlib import redirect_stderr

import structlog

from common.telemetry.logs import configure_logs


def test_a_line_is_one_json_object_with_the_context_of_its_process() -> None:
    stream = io.StringIO()
    with redirect_stderr(stream):
        configure_logs("info", node_id="bizchain-1")
    structlog.get_logger().debug("too fine")
    structlog.get_logger().info("a block is final", height=7)
    line = json.loads(stream.getvalue())
    told = (line["event"], line["level"], line["node_id"], line["height"])
    assert told == ("a block is final", "info", "bizchain-1", 7)


def test_a_logger_that_was_used_before_goes_where_logs_are_sent_now() -> None:
    log, first, second = structlog.get_logger(), io.StringIO(), io.StringIO()
    with redirect_stderr(first):
        configure_logs("info")
    log.info("before")
    first.close()
    with redirect_stderr(second):
        configure_logs("info")
    log.info("after")
    logging.getLogger("a.library").error("of a library")
    structured, plain = second.getvalue().splitlines()
    assert json.loads(structured)["event"] == "after"
    assert plain.endswith("of a library")

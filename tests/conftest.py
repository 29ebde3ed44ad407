"""One Hypothesis profile for all tests, and no test inherits the logs of another."""

import logging
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

settings.register_profile(
    "wutong",
    deadline=None,  # speed of the machine is no property of the code
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("wutong")


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """A test may configure logs, as a process does once, for a stream that ends with the test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)

"""One Hypothesis profile for all tests: speed of the machine is no property of the code."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "wutong",
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("wutong")

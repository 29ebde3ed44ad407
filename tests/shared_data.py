"""Where the official sample documents are, for the tests that read them and nothing else.

They belong to their publishers and are not part of this repository: a test takes them from the
folder that WUTONG_SHARED_DATA names, else from `../shared/data` beside the repository, and is
skipped with a reason where there is neither.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

__all__ = ["REPOSITORY", "SAMPLES", "needs_shared_data", "shared_data"]

REPOSITORY = Path(__file__).resolve().parent.parent
SAMPLES = REPOSITORY / "deploy" / "samples" / "steel-coil"


def shared_data() -> Path:
    """The folder of official documents; it may not exist."""
    named = os.environ.get("WUTONG_SHARED_DATA")
    return Path(named) if named else REPOSITORY.parent / "shared" / "data"


needs_shared_data = pytest.mark.skipif(
    not shared_data().is_dir(),
    reason="the official sample documents are not here; name their folder in WUTONG_SHARED_DATA",
)

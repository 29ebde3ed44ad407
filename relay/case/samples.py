"""Where the papers of the case are: beside the packages, in the tree they are run from."""

from __future__ import annotations

from pathlib import Path

from common.errors import CommonReason, Refused

__all__ = ["steel_coil"]


def steel_coil() -> Path:
    """The folder of documents about a coil of steel. Raises `Refused(NOT_FOUND)`."""
    place = Path(__file__).resolve().parents[2] / "deploy" / "samples" / "steel-coil"
    if not place.is_dir():
        message = f"the papers of the case are not at {place}; `wutong up --no-case` does without"
        raise Refused(CommonReason.NOT_FOUND, message)
    return place

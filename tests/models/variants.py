"""Every variant of every model, in the order the table prints them."""

from __future__ import annotations

from tests.models import certificates, clocks, compaction, messages, signing, transfer, window
from tests.models.checker import Variant

__all__ = ["FAMILIES"]

FAMILIES: dict[str, tuple[Variant, ...]] = {
    "transfer": transfer.VARIANTS,
    "messages": messages.VARIANTS,
    "window": window.VARIANTS,
    "signing": signing.VARIANTS,
    "certificates": certificates.VARIANTS,
    "compaction": compaction.VARIANTS,
    "clocks": clocks.VARIANTS,
}

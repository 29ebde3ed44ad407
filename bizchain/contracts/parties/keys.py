"""Where parties and holds are stored: `party/<party id>` and `hold/<subject kind>/<subject id>`."""

from __future__ import annotations

from common.ledger.holds import HOLD
from common.ledger.identity import PARTY

__all__ = ["HOLD", "PARTY"]

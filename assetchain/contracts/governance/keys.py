"""Where votes are stored: `proposal/<id>`, `ballot/<id>`; what they led to: `version/<kind>/<name>/
<height>`, and the newest of a subject: `latest/<kind>/<name>`.
"""

from __future__ import annotations

from common.governance.types import BALLOT, OPEN_PROPOSALS, PROPOSAL
from common.ledger.versions import LATEST, VERSION

__all__ = ["BALLOT", "LATEST", "OPEN_PROPOSALS", "PROPOSAL", "VERSION"]

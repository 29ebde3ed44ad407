"""Where changes and what stands by them are stored.

party_change/<change id>
standing/key/<public key>              whose key it is, or once was
standing/lei|uscc|gln/<identifier>     whose identifier it is
standing/application/<party id>        the open application of a party
standing/recovery/<party id>           the recovery that waits
standing/reads/<reader>/<party id>     a regulator's grant to read a party
"""

from __future__ import annotations

from bizchain.contracts.authority.types import PartyChange, Standing
from common.ledger.state import Commitment, Table

__all__ = ["CHANGE", "STANDING"]

CHANGE = Table(b"\x44", "party_change", PartyChange, Commitment.TREE)
STANDING = Table(b"\x45", "standing", Standing, Commitment.TREE)

"""What must always hold of parties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from assetchain.contracts.parties.keys import PARTY
from common.errors import Refused
from common.ledger.chain import Invariant, Violation
from common.ledger.identity import check_party
from common.ledger.reading import READ_GRANT, check_read_grant
from common.ledger.state import Reader

__all__ = ["INVARIANTS"]


def parties_are_well_formed(state: Reader) -> Sequence[Violation]:
    """B14: every stored party is one that could have been proposed, under its own id."""
    broken: list[Violation] = []
    for key, party in state.scan(PARTY):
        try:
            check_party(party)
        except Refused as refused:
            broken.append(Violation("B14", f"party {party.party_id}: {refused.message}"))
        if key != PARTY.key(party.party_id):
            broken.append(Violation("B14", f"party {party.party_id} is stored under another id"))
    return broken


def grants_are_well_formed(state: Reader) -> Sequence[Violation]:
    """B14: every copied grant to read is one that could have been sent, under its own names."""
    broken: list[Violation] = []
    for key, grant in state.scan(READ_GRANT):
        try:
            check_read_grant(grant)
        except Refused as refused:
            broken.append(Violation("B14", f"grant of {grant.reader}: {refused.message}"))
        if key != READ_GRANT.key(grant.reader, grant.party_id) or not grant.until_unix_ms:
            broken.append(Violation("B14", f"a grant of {grant.reader} is under another name"))
    return broken


INVARIANTS: Mapping[str, Invariant] = {
    "parties are well-formed": parties_are_well_formed,
    "grants to read are well-formed": grants_are_well_formed,
}

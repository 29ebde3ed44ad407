"""What must always hold of documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bizchain.contracts.documents.keys import DOCUMENT
from common.crypto.digest import DIGEST_BYTES
from common.ledger.chain import Invariant, Violation
from common.ledger.identity import party_of
from common.ledger.state import Reader

__all__ = ["INVARIANTS"]


def documents_have_owners(state: Reader) -> Sequence[Violation]:
    """B14: every document was recorded by a party, under its own key, with a whole commitment."""
    return [
        Violation("B14", f"document {document.document_id} of {document.owner}")
        for key, document in state.scan(DOCUMENT)
        if key != DOCUMENT.key(document.owner, document.document_id)
        or party_of(state, document.owner) is None
        or len(document.commitment) != DIGEST_BYTES
    ]


INVARIANTS: Mapping[str, Invariant] = {"documents have owners": documents_have_owners}

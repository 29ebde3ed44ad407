"""Making a dossier from what both chains prove, and what the relay was handed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from common.crypto.merkle import MerkleTree
from common.encoding import encode
from common.errors import CommonReason, Refused
from common.ledger.block import Event, EventKind, TransactionReceipt
from common.ledger.genesis import Genesis
from relay.dossier.contents import DOSSIER_VERSION, Dossier, DossierRecord, DossierSide
from relay.inputs import Consent, Opening, Package

__all__ = ["assemble", "record_in"]


def record_in(
    transfer_id: bytes,
    header: bytes,
    certificate: bytes,
    leaves: Sequence[TransactionReceipt | Event],
) -> DossierRecord:
    """The record of a transfer in a final block, of which all leaves are given in order.

    Where a block wrote two records of it, the later one. Raises `Refused(NOT_FOUND)` for none.
    """
    key = transfer_id.hex()
    found = [
        index
        for index, leaf in enumerate(leaves)
        if isinstance(leaf, Event) and (leaf.kind, leaf.key) == (EventKind.TRANSFER, key)
    ]
    if not found:
        raise Refused(CommonReason.NOT_FOUND, f"the block has no record of transfer {key}")
    encoded = [encode(leaf) for leaf in leaves]
    index = found[-1]
    path = MerkleTree(encoded).path(index)
    return DossierRecord(header, certificate, index, len(encoded), encoded[index], path)


def assemble(
    terms: bytes,
    package: Package | None,
    follower: tuple[Genesis, Iterable[DossierRecord]],
    decider: tuple[Genesis, Iterable[DossierRecord]],
) -> bytes:
    """The canonical bytes of a dossier. Each chain comes with its genesis and records."""
    given = package or Package(terms, None, None, (), (), None, b"")
    dossier = Dossier(
        DOSSIER_VERSION,
        terms,
        _side(*follower, given.follower_opening, given.follower_consents),
        _side(*decider, given.decider_opening, given.decider_consents),
    )
    return encode(dossier)


def _side(
    genesis: Genesis,
    records: Iterable[DossierRecord],
    opening: Opening | None,
    consents: Iterable[Consent],
) -> DossierSide:
    by_party = sorted(consents, key=lambda consent: consent.party)
    return DossierSide(encode(genesis), (), opening, tuple(by_party), tuple(records))

"""Making a dossier from what both chains prove, and what the relay was handed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from assetchain.contracts.listings.types import ListedTitleLeg
from common.crypto.merkle import MerkleTree
from common.encoding import decode, encode
from common.errors import CommonReason, Refused
from common.ledger.block import Event, EventKind, Header, TransactionReceipt
from common.ledger.genesis import Genesis
from common.transfer.machine import Role
from common.transfer.terms import read_terms
from common.v1.ledger_service_pb2 import Evidence
from relay.dossier.consents import carried, owners_of
from relay.dossier.contents import (
    DOSSIER_VERSION,
    Dossier,
    DossierRecord,
    DossierSide,
    MandateProof,
    PartyProof,
)
from relay.dossier.mandates import listed_leg
from relay.inputs import Consent, Opening, Package

__all__ = [
    "ChainProofs",
    "assemble",
    "leg_owners",
    "leg_sold",
    "mandate_in",
    "party_in",
    "record_in",
]

_NONE: Mapping[str, PartyProof] = MappingProxyType({})


class ChainProofs(NamedTuple):
    """What one chain proves of a transfer: its records, the parties that consented here, and the
    listing that stands for a consent.
    """

    genesis: Genesis
    records: Sequence[DossierRecord]
    parties: Mapping[str, PartyProof] = _NONE
    mandate: MandateProof | None = None


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


def party_in(evidence: Evidence) -> PartyProof | None:
    """A party's row as a node proved it, or None where the chain has no such party."""
    entry, block = evidence.entry, evidence.block
    if not entry.present:
        return None
    return PartyProof(block.header, block.certificate, entry.value, entry.proof)


def mandate_in(evidence: Evidence) -> MandateProof | None:
    """A listing's row as a node proved it, or None where the chain has no such listing."""
    entry, block = evidence.entry, evidence.block
    if not entry.present:
        return None
    return MandateProof(block.header, block.certificate, entry.value, entry.proof)


def leg_sold(
    chain_name: str, flow: str, role: str, package: Package | None
) -> ListedTitleLeg | None:
    """A chain's leg, where it is known and sells from a listing."""
    opening = None
    if package is not None:
        follows = role == Role.FOLLOWER
        opening = package.follower_opening if follows else package.decider_opening
    try:
        return listed_leg(chain_name, flow, role, opening)
    except Refused:
        return None  # a package of a stranger, which no chain will ever take


def leg_owners(chain_name: str, flow: str, role: str, package: Package | None) -> tuple[str, ...]:
    """Whose consents a dossier can show on a chain: nobody's where the leg there is not known."""
    opening = None
    if package is not None:
        follows = role == Role.FOLLOWER
        opening = package.follower_opening if follows else package.decider_opening
    try:
        return owners_of(chain_name, flow, role, opening)
    except Refused:
        return ()  # a package of a stranger, which no chain will ever take


def assemble(
    terms: bytes, package: Package | None, follower: ChainProofs, decider: ChainProofs
) -> bytes:
    """The canonical bytes of a dossier. What no verifier could judge is left out."""
    given = package or Package(terms, None, None, (), (), None, b"")
    flow = read_terms(terms).flow
    owners = [
        leg_owners(chain.genesis.chain_name, flow, role, given)
        for chain, role in ((follower, Role.FOLLOWER), (decider, Role.DECIDER))
    ]
    dossier = Dossier(
        DOSSIER_VERSION,
        terms,
        _side(follower, given.follower_opening, given.follower_consents, owners[0]),
        _side(decider, given.decider_opening, given.decider_consents, owners[1]),
    )
    return encode(dossier)


def _side(
    chain: ChainProofs,
    opening: Opening | None,
    consents: Sequence[Consent],
    owners: Sequence[str],
) -> DossierSide:
    records = tuple(chain.records)
    first_height = decode(Header, records[0].header).height if records else 0
    shown = carried(owners, consents, chain.parties, first_height)
    mandate = chain.mandate if opening is not None else None
    return DossierSide(encode(chain.genesis), (), opening, shown, records, mandate)

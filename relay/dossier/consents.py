"""Whose consents a dossier shows, and whose key each of them was made with.

A signature proves that somebody holds a key; whose key it is, only the party's row on the chain can
say. So a consent counts for an owner of the leg that is opened beside it, by the rules of that leg,
and it is proven where the dossier shows, under a certified header of the same chain, a party of
which the key is a user's. A row older than the transfer's first record there proves nothing: the
key may have been taken from its user since. Without a proof a consent is told apart, never counted.

    consents = carried(owners, given, parties, first_height)      # when a dossier is assembled
    shown = judge(side, place, first_height)                      # when it is verified
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from common.crypto.signing import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, verify
from common.encoding import decode
from common.errors import CommonReason, Refused, TransferReason
from common.ledger.block import Header
from common.ledger.chain import LegRules
from common.ledger.evidence import verify_certified, verify_entry
from common.ledger.genesis import Genesis
from common.ledger.identity import PARTY, Party, PartyStatus, check_identifier
from common.transfer.checks import CONSENTS_MAX
from common.transfer.terms import consent_digest
from relay.audit.chains import CHAINS
from relay.dossier.contents import DossierConsent, DossierSide, PartyProof
from relay.inputs import Consent, Opening

__all__ = ["NOT_PROVEN", "Place", "ShownConsent", "carried", "judge", "owners_of", "rules_of"]

NOT_PROVEN = 0
"""The height at which a key is known to be the party's where nothing proves that it is."""


class ShownConsent(NamedTuple):
    """A consent that verifies. In block `height` its key was a user's of `party`; or NOT_PROVEN."""

    party: str
    height: int


class Place(NamedTuple):
    """Where a side's consents belong: its chain, the transfer, and the role and flow of its leg."""

    chain_id: bytes
    genesis: Genesis
    transfer_id: bytes
    flow: str
    role: str


def rules_of(chain_name: str, flow: str, role: str) -> LegRules[Any]:
    """The rules of a flow's leg on a chain. Raises `Refused(FLOW_UNKNOWN)`."""
    chain = CHAINS.get(chain_name)
    rules = chain.legs.get(flow) if chain else None
    if rules is None or rules.role != role:
        raise Refused(
            TransferReason.FLOW_UNKNOWN, f"no {role} of flow {flow!r} is known on {chain_name!r}"
        )
    return rules


def owners_of(chain_name: str, flow: str, role: str, opening: Opening | None) -> tuple[str, ...]:
    """The parties whose consent the opened leg needs. Nobody's where none is opened.

    Raises `Refused`: FLOW_UNKNOWN, or MALFORMED where the opening holds no leg of this flow.
    """
    rules = rules_of(chain_name, flow, role)
    if opening is None:
        return ()
    leg, its_rules = rules.read(opening.leg)
    owners: tuple[str, ...] = its_rules.owners(leg)
    return owners


# --- assembling ----------------------------------------------------------------------------------


def carried(
    owners: Iterable[str],
    given: Iterable[Consent],
    parties: Mapping[str, PartyProof],
    first_height: int,
) -> tuple[DossierConsent, ...]:
    """The consents of a side that a verifier can judge, each with the proof that bears it out."""
    by_party = {consent.party: consent for consent in given}
    found: list[DossierConsent] = []
    for owner in sorted(set(owners) & by_party.keys()):
        one, proof = by_party[owner], parties.get(owner)
        if proof is not None and not _bears_out(proof, one.public_key, first_height):
            proof = None
        found.append(DossierConsent(owner, one.public_key, one.signature, proof))
    return tuple(found)


def _bears_out(proof: PartyProof, public_key: bytes, first_height: int) -> bool:
    height = decode(Header, proof.header).height
    return height >= first_height and _is_users(decode(Party, proof.party), public_key)


# --- verifying -----------------------------------------------------------------------------------


def judge(side: DossierSide, place: Place, first_height: int) -> tuple[ShownConsent, ...]:
    """The consents of one side, whose opening is judged. `first_height` is that of its first
    record, 0 where none is shown.

    Raises `Refused`: MALFORMED, INVALID_ARGUMENT, FLOW_UNKNOWN, CONSENT_MISSING, BAD_CERTIFICATE,
    BAD_PROOF.
    """
    parties = [consent.party for consent in side.consents]
    if parties != sorted(set(parties)) or len(parties) > CONSENTS_MAX:
        raise Refused(CommonReason.MALFORMED, "each party consents once, in order of their names")
    for party in parties:
        check_identifier(party, "party id")
    if not parties:
        return ()
    owners = owners_of(place.genesis.chain_name, place.flow, place.role, side.opening)
    return tuple(_judge_one(consent, owners, place, first_height) for consent in side.consents)


def _judge_one(
    consent: DossierConsent, owners: tuple[str, ...], place: Place, first_height: int
) -> ShownConsent:
    party = consent.party
    if party not in owners:
        raise _missing(f"{party} owns no leg that is opened here")
    sizes = (len(consent.public_key), len(consent.signature))
    digest = consent_digest(place.transfer_id, party)
    if sizes != (PUBLIC_KEY_BYTES, SIGNATURE_BYTES) or not verify(
        consent.public_key, digest, consent.signature
    ):
        raise _missing(f"the consent of {party} does not verify")
    proof = consent.proof
    if proof is None:
        return ShownConsent(party, NOT_PROVEN)
    final = verify_certified(
        proof.header, proof.certificate, place.chain_id, place.genesis.node_set
    )
    verify_entry(final, PARTY.key(party), proof.party, proof.proof)
    if final.height < first_height:
        raise _missing(f"the row of {party} is older than the transfer")
    if not _is_users(decode(Party, proof.party), consent.public_key):
        raise _missing(f"the key of the consent is no user's of {party}")
    return ShownConsent(party, final.height)


def _is_users(party: Party, public_key: bytes) -> bool:
    """Whether the key is a user's of a party that somebody approved, whatever it is by now."""
    approved = party.status != PartyStatus.PROPOSED
    return approved and any(user.public_key == public_key for user in party.users)


def _missing(message: str) -> Refused:
    return Refused(TransferReason.CONSENT_MISSING, message)

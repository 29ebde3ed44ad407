"""What a dossier shows in the place of a seller's consent: the listing it sold from.

A leg that sells from a listing needs nobody's signature on its chain. That the seller had offered
these goods is proven by the listing's own row under a certified header of the same chain. Ids of
listings are never used twice and their terms never change, so a row of any height will do; it must
be of the leg's seller and lot, and not have ended before the first record of the transfer there.
"""

from __future__ import annotations

from typing import NamedTuple

from assetchain.contracts.listings.keys import LISTING
from assetchain.contracts.listings.types import ListedTitleLeg, Listing
from common.deadline import expired
from common.encoding import Malformed, decode
from common.errors import Refused, TransferReason
from common.ledger.evidence import verify_certified, verify_entry
from common.ledger.identity import check_identifier
from relay.dossier.consents import NOT_PROVEN, Place, rules_of
from relay.dossier.contents import DossierSide
from relay.inputs import Opening

__all__ = ["ShownMandate", "judge_mandate", "listed_leg"]


class ShownMandate(NamedTuple):
    """The listing a leg names, and its seller. Proven as of block `height`; or NOT_PROVEN."""

    listing_id: str
    seller: str
    height: int


def listed_leg(
    chain_name: str, flow: str, role: str, opening: Opening | None
) -> ListedTitleLeg | None:
    """The opened leg, where it is one that sells from a listing. Raises `Refused(FLOW_UNKNOWN)`."""
    rules = rules_of(chain_name, flow, role)
    if opening is None:
        return None
    try:
        leg, _ = rules.read(opening.leg)
    except Malformed:
        return None  # whoever makes terms may put the hash of anything into them
    return leg if isinstance(leg, ListedTitleLeg) else None


def judge_mandate(side: DossierSide, place: Place, first_unix_ms: int) -> ShownMandate | None:
    """The mandate of one side, whose opening is judged. None where its leg needs none.

    `first_unix_ms` is the time of its first record, 0 where none is shown. Raises `Refused`:
    MALFORMED, INVALID_ARGUMENT, FLOW_UNKNOWN, CONSENT_MISSING, BAD_CERTIFICATE, BAD_PROOF.
    """
    leg = listed_leg(place.genesis.chain_name, place.flow, place.role, side.opening)
    proof = side.mandate
    if leg is None:
        if proof is not None:
            raise _missing("a listing is shown, and the leg sells from none")
        return None
    check_identifier(leg.listing_id, "listing id")
    check_identifier(leg.seller, "party id")
    if proof is None:
        return ShownMandate(leg.listing_id, leg.seller, NOT_PROVEN)
    final = verify_certified(
        proof.header, proof.certificate, place.chain_id, place.genesis.node_set
    )
    verify_entry(final, LISTING.key(leg.listing_id), proof.listing, proof.proof)
    listing = decode(Listing, proof.listing)
    if (listing.seller, listing.lot_id) != (leg.seller, leg.lot_id):
        raise _missing(f"listing {leg.listing_id} is of another seller, or of another lot")
    if expired(first_unix_ms, listing.until_unix_ms):
        raise _missing(f"listing {leg.listing_id} had ended before the transfer")
    return ShownMandate(leg.listing_id, leg.seller, final.height)


def _missing(message: str) -> Refused:
    return Refused(TransferReason.CONSENT_MISSING, message)

"""What is in a dossier. All of it canonical, so that one transfer's dossier has one encoding.

Version 2 adds to each consent the proof of whose key it was made with, version 3 to a side the
proof of the mandate that stands for one. Files of both versions before are still read: what they
come without is judged as not shown.
"""

from __future__ import annotations

from common.encoding import Canonical, decode
from common.errors import CommonReason, Refused
from relay.inputs import Consent, Opening

__all__ = [
    "DOSSIER_BYTES_MAX",
    "DOSSIER_VERSION",
    "Dossier",
    "DossierConsent",
    "DossierRecord",
    "DossierSide",
    "MandateProof",
    "PartyProof",
    "read_dossier",
]

DOSSIER_VERSION = 3
SECOND_VERSION = 2
FIRST_VERSION = 1
DOSSIER_BYTES_MAX = 4 * 1024 * 1024


class DossierRecord(Canonical, frozen=True):
    """One record of the transfer: its event, the path to the event root, the certified header.

    `leaf` holds the canonical event; `header` and `certificate` are canonical bytes, too.
    """

    header: bytes
    certificate: bytes
    leaf_index: int
    leaf_count: int
    leaf: bytes
    path: tuple[bytes, ...]


class PartyProof(Canonical, frozen=True):
    """A party as its row stood in a final block of the chain.

    `party` is the canonical row, `proof` its canonical state proof; `header` and `certificate` are
    canonical bytes, too.
    """

    header: bytes
    certificate: bytes
    party: bytes
    proof: bytes


class DossierConsent(Canonical, frozen=True):
    """An owner's signature over the transfer, and the proof, if any, that the key is its user's."""

    party: str
    public_key: bytes
    signature: bytes
    proof: PartyProof | None


class MandateProof(Canonical, frozen=True):
    """The listing a leg sells from, as its row stood in a final block of the chain.

    `listing` is the canonical row, `proof` its canonical state proof; `header` and `certificate`
    are canonical bytes, too.
    """

    header: bytes
    certificate: bytes
    listing: bytes
    proof: bytes


class DossierSide(Canonical, frozen=True):
    """One chain's part.

    `genesis` is canonical, and names the first node set; `node_sets` are the certified headers that
    changed it, in order. `opening` is that of this chain's leg, where the relay was given it;
    `consents` are in order of their parties, `records` in order of their heights.
    """

    genesis: bytes
    node_sets: tuple[bytes, ...]
    opening: Opening | None
    consents: tuple[DossierConsent, ...]
    records: tuple[DossierRecord, ...]
    mandate: MandateProof | None = None


class Dossier(Canonical, frozen=True):
    """A transfer: its canonical terms, and what each chain has of it."""

    version: int
    terms: bytes
    follower: DossierSide
    decider: DossierSide


class _FirstSide(Canonical, frozen=True):
    """`DossierSide` of version 1."""

    genesis: bytes
    node_sets: tuple[bytes, ...]
    opening: Opening | None
    consents: tuple[Consent, ...]
    records: tuple[DossierRecord, ...]


class _FirstDossier(Canonical, frozen=True):
    """`Dossier` of version 1."""

    version: int
    terms: bytes
    follower: _FirstSide
    decider: _FirstSide


class _SecondSide(Canonical, frozen=True):
    """`DossierSide` of version 2."""

    genesis: bytes
    node_sets: tuple[bytes, ...]
    opening: Opening | None
    consents: tuple[DossierConsent, ...]
    records: tuple[DossierRecord, ...]


class _SecondDossier(Canonical, frozen=True):
    """`Dossier` of version 2."""

    version: int
    terms: bytes
    follower: _SecondSide
    decider: _SecondSide


def read_dossier(data: bytes) -> Dossier:
    """The dossier in these bytes, nothing of it judged. Raises `Refused`: TOO_LARGE, MALFORMED."""
    if len(data) > DOSSIER_BYTES_MAX:
        raise Refused(CommonReason.TOO_LARGE, f"a dossier has at most {DOSSIER_BYTES_MAX} bytes")
    version = data[1] if len(data) > 1 else 0  # after the head of the outer array, below 128
    if version == DOSSIER_VERSION:
        return decode(Dossier, data)
    if version == SECOND_VERSION:
        second = decode(_SecondDossier, data)
        return Dossier(version, second.terms, _whole(second.follower), _whole(second.decider))
    if version == FIRST_VERSION:
        first = decode(_FirstDossier, data)
        return Dossier(version, first.terms, _read(first.follower), _read(first.decider))
    raise Refused(
        CommonReason.MALFORMED,
        f"this is no dossier of version {FIRST_VERSION} to {DOSSIER_VERSION}, which are known here",
    )


def _read(side: _FirstSide) -> DossierSide:
    consents = tuple(
        DossierConsent(one.party, one.public_key, one.signature, None) for one in side.consents
    )
    return DossierSide(side.genesis, side.node_sets, side.opening, consents, side.records)


def _whole(side: _SecondSide) -> DossierSide:
    return DossierSide(side.genesis, side.node_sets, side.opening, side.consents, side.records)

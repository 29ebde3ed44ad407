"""What is in a dossier. All of it canonical, so that one transfer's dossier has one encoding."""

from __future__ import annotations

from common.encoding import Canonical
from relay.inputs import Consent, Opening

__all__ = ["DOSSIER_BYTES_MAX", "DOSSIER_VERSION", "Dossier", "DossierRecord", "DossierSide"]

DOSSIER_VERSION = 1
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


class DossierSide(Canonical, frozen=True):
    """One chain's part.

    `genesis` is canonical, and names the first node set; `node_sets` are the certified headers that
    changed it, in order. `opening` is that of this chain's leg, where the relay was given it;
    `consents` are in order of their parties, `records` in order of their heights.
    """

    genesis: bytes
    node_sets: tuple[bytes, ...]
    opening: Opening | None
    consents: tuple[Consent, ...]
    records: tuple[DossierRecord, ...]


class Dossier(Canonical, frozen=True):
    """A transfer: its canonical terms, and what each chain has of it."""

    version: int
    terms: bytes
    follower: DossierSide
    decider: DossierSide

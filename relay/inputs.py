"""What a reconciler is told. Everything here was verified before (`relay.verifier`), or is a hint.

Chains are named by the names of their `Chain` values. Records and messages come with the proof that
the other chain will ask for, and with the certified header that proof stands under; facts of one
block share one `CertifiedBlock`.

No input need arrive: each may be lost, repeated, late or out of order. That costs time alone,
because what matters is asked for again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from common.encoding import Canonical
from common.errors import Reason, Refused
from common.transfer.machine import TransferRecord
from common.v1.transfer_pb2 import EventProof

__all__ = [
    "Answered",
    "CertifiedBlock",
    "ChainView",
    "Consent",
    "Ending",
    "FetchedTransfers",
    "FinalBlock",
    "Input",
    "OpenTransfers",
    "Opening",
    "OperationResult",
    "Outbox",
    "Package",
    "PackageReceived",
    "Recovered",
    "SeenMessage",
    "SeenRecord",
    "TransferRow",
    "Voice",
]


# --- what a client hands over -------------------------------------------------------------------


class Opening(Canonical, frozen=True):
    """A leg in its canonical bytes, and the 32-byte salt of its hash in the terms."""

    leg: bytes
    salt: bytes


class Consent(Canonical, frozen=True):
    """A party's signature over a transfer: a consent, or a decline."""

    party: str
    public_key: bytes
    signature: bytes


class Package(Canonical, frozen=True):
    """All a relay may be given to carry a transfer. Only `terms` must be there.

    `secret` is 32 bytes, or empty where its holder keeps it. It shows in no representation.
    """

    terms: bytes
    follower_opening: Opening | None
    decider_opening: Opening | None
    follower_consents: tuple[Consent, ...]
    decider_consents: tuple[Consent, ...]
    decline: Consent | None
    secret: bytes

    def __repr__(self) -> str:
        return f"Package(terms={len(self.terms)} bytes, secret={'held' if self.secret else 'none'})"


class Voice(Canonical, frozen=True):
    """What one caller handed over that was signed, free of contradiction.

    `caller` is whom its certificate names; empty where there is none.
    """

    caller: str
    follower_consents: tuple[Consent, ...]
    decider_consents: tuple[Consent, ...]
    decline: Consent | None


class Ending(Canonical, frozen=True):
    """How a transfer ended: the last state on each chain, and the heights of all records there.

    States are those of `TransferState`; a transfer that lapsed before anything was reserved has
    none.
    """

    follower_state: str
    follower_heights: tuple[int, ...]
    decider_state: str
    decider_heights: tuple[int, ...]
    ended_unix_ms: int


# --- facts of a chain ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CertifiedBlock:
    """A final header, and the canonical bytes that prove it final."""

    height: int
    time_unix_ms: int
    outbox_last: int
    inbox_last: int
    header: bytes = field(repr=False)
    certificate: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SeenRecord:
    """A transfer's record, the proof of its event, and the block that wrote it."""

    record: TransferRecord
    proof: EventProof = field(repr=False)
    block: CertifiedBlock


@dataclass(frozen=True, slots=True)
class SeenMessage:
    """A one-way message, the proof of its event, and the block that sent it."""

    number: int
    proof: EventProof = field(repr=False)
    block: CertifiedBlock


@dataclass(frozen=True, slots=True)
class TransferRow:
    """A transfer as one chain keeps it. `terms` are empty where that chain never saw them."""

    seen: SeenRecord
    terms: bytes


# --- inputs -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FinalBlock:
    """A final block of `chain`, with the records and messages it wrote. A hint."""

    chain: str
    block: CertifiedBlock
    records: tuple[SeenRecord, ...] = ()
    messages: tuple[SeenMessage, ...] = ()


@dataclass(frozen=True, slots=True)
class OpenTransfers:
    """A page of the index of open transfers of `chain`."""

    chain: str
    rows: tuple[TransferRow, ...]


@dataclass(frozen=True, slots=True)
class FetchedTransfers:
    """The answer to `FetchTransfers`: what `chain` keeps, and the ids it says it has never met."""

    chain: str
    rows: tuple[TransferRow, ...]
    missing: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Outbox:
    """Messages that wait in `chain` for the other one, in the order of their numbers."""

    chain: str
    messages: tuple[SeenMessage, ...]


@dataclass(frozen=True, slots=True)
class ChainView:
    """Where `chain` stands, and what its light client holds of the other chain.

    `peer_height` is the highest header imported here, `fresh_unix_ms` the time of the newest one
    whose messages were all applied, `acknowledged` the last own message proven applied there.
    `closed` is empty, or the name of the reason why nothing of the other chain is taken now.
    """

    chain: str
    head: CertifiedBlock
    peer_height: int
    fresh_unix_ms: int
    acknowledged: int
    closed: str = ""


@dataclass(frozen=True, slots=True)
class PackageReceived:
    """A client handed a package over. It passed `packages.check_package`."""

    transfer_id: bytes
    package: Package
    caller: str = ""


@dataclass(frozen=True, slots=True)
class Recovered:
    """A transfer as the journal kept it; `ending` where it ended. Comes before all other inputs.

    `opened_by` is the caller whose place it takes.
    """

    transfer_id: bytes
    package: Package
    received_unix_ms: int
    ending: Ending | None
    voices: tuple[Voice, ...] = ()
    opened_by: str = ""


class OperationResult(NamedTuple):
    """What became of one operation: no reason where it took effect or was done already.

    `height` is that of the deciding block, 0 where it reached none.
    """

    reason: Reason | None
    message: str
    height: int


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to `Submit`: one result for each operation, or why there is none at all."""

    chain: str
    number: int
    results: tuple[OperationResult, ...] = ()
    failure: Refused | None = None


Input: TypeAlias = (
    FinalBlock
    | OpenTransfers
    | FetchedTransfers
    | Outbox
    | ChainView
    | PackageReceived
    | Recovered
    | Answered
)

"""What a reconciler asks for. Whoever drives it carries these out, in order.

`Persist` is a barrier: what it holds is on the disk before any effect after it leaves the process.
A package is the intent of everything ever sent for its transfer, so nothing else need be written
before sending: what became of it is read back from the chains. Every `Submit` is answered by an
`Answered`; all other effects may be lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from google.protobuf.message import Message

from relay.inputs import Ending, Package, Voice

__all__ = [
    "Changed",
    "DropTransfer",
    "Effect",
    "Entry",
    "FetchOutbox",
    "FetchTransfers",
    "KeepEnded",
    "KeepPackage",
    "Operation",
    "Persist",
    "Scan",
    "Submit",
]


class Operation(NamedTuple):
    """One unsigned operation: the name of its field in the chain's `Operation`, and its message.

    A message may hold a secret, so it shows in no representation; and then `not_after_unix_ms` is
    when it must not be sent any more, for the first time or again. 0 where it may be sent any time.
    """

    kind: str
    payload: Message
    not_after_unix_ms: int = 0

    def __repr__(self) -> str:
        return f"Operation({self.kind})"


# --- entries of the journal ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KeepPackage:
    """Keep what was handed over, its secret sealed. Replaces what was kept before.

    `voices` are all signatures, of which those in the package have their turn.
    """

    transfer_id: bytes
    package: Package
    received_unix_ms: int
    voices: tuple[Voice, ...] = ()
    opened_by: str = ""


@dataclass(frozen=True, slots=True)
class KeepEnded:
    """The transfer ended: keep how, and its package without the secret."""

    transfer_id: bytes
    package: Package
    received_unix_ms: int
    ending: Ending


@dataclass(frozen=True, slots=True)
class DropTransfer:
    """Forget a transfer that ended long ago."""

    transfer_id: bytes


Entry: TypeAlias = KeepPackage | KeepEnded | DropTransfer


# --- effects ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Persist:
    """Write `entries` to the journal, in order, all or none, before going on."""

    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Submit:
    """Send these operations to `chain`, in this order. Answered under `number`.

    What is tried again is not tried after an operation's `not_after_unix_ms`: that one is answered
    as OUTCOME_UNKNOWN, and the others as ever.
    """

    chain: str
    number: int
    operations: tuple[Operation, ...]

    @property
    def not_after_unix_ms(self) -> int:
        """That of the operation which must be given up first; 0 where there is no such."""
        bounds = [one.not_after_unix_ms for one in self.operations if one.not_after_unix_ms]
        return min(bounds, default=0)


@dataclass(frozen=True, slots=True)
class Scan:
    """Read `chain` anew: its `ChainView`, and all its open transfers."""

    chain: str


@dataclass(frozen=True, slots=True)
class FetchTransfers:
    """Read these transfers on `chain`."""

    chain: str
    transfer_ids: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class FetchOutbox:
    """Read messages of `chain` from this number on."""

    chain: str
    from_number: int


@dataclass(frozen=True, slots=True)
class Changed:
    """What is known of these transfers changed: whoever waits for one may look again."""

    transfer_ids: tuple[bytes, ...]


Effect: TypeAlias = Persist | Submit | Scan | FetchTransfers | FetchOutbox | Changed

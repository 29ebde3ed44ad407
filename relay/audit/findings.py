"""What an audit found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from common.ledger.chain import Violation

__all__ = ["AuditReport", "ChainReport", "Finding", "PairReport", "Violated", "computing"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken rule. `place` is a chain or a node; `height` is where it was seen."""

    invariant: str
    place: str
    height: int
    message: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.place} at height {self.height}: {self.message}"


class Violated(Exception):
    """The audit met a violation, and ends."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding

    @classmethod
    def of(cls, violation: Violation, place: str, height: int) -> Violated:
        """The violation that an invariant of a chain found."""
        return cls(Finding(violation.invariant, place, height, violation.message))


@contextmanager
def computing(rule: str, place: str, height: int) -> Iterator[None]:
    """Judge a state: one that cannot be read is a finding, whatever is wrong with it."""
    try:
        yield
    except Violated:
        raise
    except UnicodeDecodeError as error:
        message = f"a row stands under {bytes(error.object).hex()}, which is no text"
        raise Violated(Finding(rule, place, height, message)) from None
    except Exception as error:  # noqa: BLE001 (a state that cannot be read is a finding)
        message = f"cannot be computed: {error!r}"
        raise Violated(Finding(rule, place, height, message)) from None


@dataclass(frozen=True, slots=True)
class ChainReport:
    """How much of one chain was judged, and held. `final_height` is the last one with a proof.

    `nodes` are those whose own log and state were compared, where there were any.
    """

    name: str
    chain_id: bytes
    height: int
    final_height: int
    transactions: int
    certificates: int
    invariants: tuple[str, ...]
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PairReport:
    """How much of the two chains together was judged, and held.

    `open_transfers` have not ended on both chains yet; `ahead` is how many facts could not be
    compared, because the other chain was read up to an earlier block only.
    """

    transfers: int
    committed: int
    aborted: int
    open_transfers: tuple[str, ...]
    receipts: int
    headers: int
    ahead: int = 0


@dataclass(frozen=True, slots=True)
class AuditReport:
    """A clean audit."""

    chains: tuple[ChainReport, ...]
    pair: PairReport
    notes: tuple[str, ...] = field(default=())

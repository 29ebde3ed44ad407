"""A transfer of a simulated world, as its parties see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from relay.agreement import Agreement
from relay.v1.relay_service_pb2 import TransferPackage
from tests.simulation.founding import START_UNIX_MS

__all__ = ["Carrier", "Deal"]


class Carrier(Protocol):
    """Whoever packages are handed to."""

    name: str

    def receive_package(self, package: TransferPackage) -> None: ...


@dataclass(slots=True)
class Deal:
    """A transfer that was agreed on, and how its parties go about it."""

    agreement: Agreement
    kind: str
    relays: list[Carrier]
    package: TransferPackage
    hand_overs: int = 0

    @property
    def name(self) -> str:
        return self.agreement.transfer_id.hex()[:8]

    @property
    def deadline_us(self) -> int:
        return (self.agreement.terms.deadline_unix_ms - START_UNIX_MS) * 1_000

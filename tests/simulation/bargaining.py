"""How the transfers of a world are agreed on, handed over, and brought on by hand.

What is agreed on is the market's affair; here each transfer goes one of the ways of `KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from google.protobuf.message import Message

from common.crypto.signing import sign
from common.ledger.compose import Author
from common.testing.network import Network
from common.testing.world import SECOND_US, World
from common.transfer.machine import TransferRecord, TransferState
from common.transfer.terms import Mode, expire_digest
from common.v1 import transfer_pb2 as transfer_pb
from relay.agreement import Agreement, consent, decline, package_of
from relay.v1.relay_service_pb2 import TransferPackage
from tests.simulation.deal import Carrier, Deal
from tests.simulation.founding import ASSET, BUSINESS, START_UNIX_MS, author, found
from tests.simulation.oracle import ENDED, Oracle
from tests.simulation.relays import SimulatedRelay

__all__ = ["DESKS", "Bargaining"]

DESKS = ("desk-1", "desk-2")
LAST_DEADLINE_US = 66 * SECOND_US
HAND_OVER_AGAIN_US = 7 * SECOND_US
HAND_OVERS_MAX = 4
LAST_MOMENT_PER_MILLE = 400

KINDS = {
    "prompt": 40,
    "secret later": 12,
    "no secret": 10,
    "declined": 12,
    "poor": 6,
    "unconsented": 4,
    "committed by hand": 8,
    "expired by hand": 5,
    "reserved by hand": 5,
}
"""How the transfers of a world go, and how often in a hundred."""


class Send(Protocol):
    """How a client asks a chain for an operation."""

    def __call__(self, chain: str, who: Author | None, kind: str, payload: Message) -> None: ...


class Bargaining:
    """All transfers of a world, as their parties see them."""

    def __init__(
        self,
        world: World,
        network: Network,
        relays: list[SimulatedRelay],
        oracle: Oracle,
        send: Send,
    ) -> None:
        self.deals: dict[bytes, Deal] = {}
        self._world = world
        self._random = world.random
        self._network = network
        self._relays = relays
        self._oracle = oracle
        self._send = send
        pair = found().pair
        self._names = {pair.business: BUSINESS, pair.asset: ASSET}
        self._others: list[Carrier] = []

    @property
    def unfinished(self) -> list[Deal]:
        """Deals that may still change: open somewhere, or not begun and not past their deadline."""
        open_ones = set(self._oracle.open_transfers())
        return [
            deal
            for transfer_id, deal in self.deals.items()
            if transfer_id in open_ones
            or (transfer_id not in self._oracle.states and deal.deadline_us >= self._world.now_us)
        ]

    def trust(self, carrier: Carrier) -> None:
        """Clients hand some of their packages to this one, too."""
        self._others.append(carrier)

    def decided(self, chain: str, record: TransferRecord) -> Deal | None:
        """The deal whose decider, `chain`, has written this final record; None for any other."""
        deal = self.deals.get(record.transfer_id)
        if deal is None or chain != self._decider(deal):
            return None
        if record.state == TransferState.RESERVED and deal.kind == "committed by hand":
            self._later(*self._commit_within_ms(deal), partial(self._commit, deal))
        return deal

    # --- how a transfer goes -----------------------------------------------------------------

    def draw_kind(self) -> str:
        """One of `KINDS`."""
        return self._random.choices(list(KINDS), list(KINDS.values()))[0]

    def mode_of(self, kind: str) -> str:
        """Express or two-step."""
        by_hand = kind == "committed by hand"
        return Mode.TWO_STEP if by_hand or self._world.chance(350) else Mode.EXPRESS

    def deadline_of(self, kind: str) -> int:
        """In Unix milliseconds."""
        low, high = (3, 6) if kind == "expired by hand" else (8, 30)
        ahead_us = self._random.randint(low * SECOND_US, high * SECOND_US)
        latest_us = max(LAST_DEADLINE_US, self._world.now_us + 6 * SECOND_US)
        return START_UNIX_MS + min(self._world.now_us + ahead_us, latest_us) // 1_000

    def agree(self, agreement: Agreement, kind: str) -> None:
        """Have it consented to, and handed over as its kind goes."""
        owners = agreement.owners[:-1] if kind == "unconsented" else agreement.owners
        consents = [consent(agreement, author(owner)) for owner in owners]
        package = package_of(agreement, consents, custody=kind in {"prompt", "poor", "unconsented"})
        count = self._random.choice((1, 1, 2))
        carriers: list[Carrier] = [*self._random.sample(self._relays, count)]
        carriers += [other for other in self._others if self._world.chance(500)]
        deal = Deal(agreement, kind, carriers, package)
        terms = agreement.terms
        self.deals[agreement.transfer_id] = deal
        self._oracle.locks[agreement.transfer_id] = terms.hash_lock
        self._oracle.deciders[agreement.transfer_id] = self._decider(deal)
        self._oracle.counts[f"deals {kind}"] += 1
        self._oracle.counts[f"deals {terms.flow} {terms.mode}"] += 1
        due_ms = terms.deadline_unix_ms - START_UNIX_MS
        self._world.note("deal", f"{deal.name} {terms.flow} {terms.mode} {kind}, due {due_ms} ms")
        self._begin(deal)

    def _begin(self, deal: Deal) -> None:
        match deal.kind:
            case "secret later":
                self._hand_over(deal)
                self._later(500, 20_000, partial(self._tell_secret, deal))
            case "declined":
                self._hand_over(deal)
                self._later(0, 5_000, partial(self._decline, deal))
            case "expired by hand":
                wait_us = deal.deadline_us - self._world.now_us
                self._world.after(wait_us + SECOND_US, partial(self._expire, deal))
                self._later(0, 9_000, partial(self._hand_over, deal))
            case "reserved by hand":
                self._reserve(deal)
            case _:
                self._hand_over(deal)

    def _hand_over(self, deal: Deal) -> None:
        """Give the package to the relays; again after a while, in case it was lost."""
        states = self._oracle.states.get(deal.agreement.transfer_id)
        if states in ENDED or deal.hand_overs == HAND_OVERS_MAX:
            return
        deal.hand_overs += 1
        for relay in deal.relays:
            package = TransferPackage()
            package.CopyFrom(deal.package)
            give = partial(relay.receive_package, package)
            self._network.send(DESKS[0], relay.name, give)
        self._world.after(HAND_OVER_AGAIN_US, partial(self._hand_over, deal))

    def _tell_secret(self, deal: Deal) -> None:
        deal.package.secret = deal.agreement.secret
        deal.hand_overs = min(deal.hand_overs, HAND_OVERS_MAX - 1)
        self._hand_over(deal)

    def _decline(self, deal: Deal) -> None:
        """The secret holder declines: by a relay, or by itself."""
        signature = decline(deal.agreement.terms, author(deal.agreement.terms.secret_holder))
        if self._world.chance(500):
            deal.package.decline.CopyFrom(signature)
            deal.hand_overs = min(deal.hand_overs, HAND_OVERS_MAX - 1)
            self._hand_over(deal)
            return
        payload = transfer_pb.DeclineTransfer(terms=deal.package.terms, party=signature)
        self._send(self._decider(deal), None, "decline_transfer", payload)

    def _expire(self, deal: Deal) -> None:
        """The secret holder has a transfer expire that may have begun nowhere."""
        holder = author(deal.agreement.terms.secret_holder)
        digest = expire_digest(deal.agreement.transfer_id, holder.party_id)
        signature = transfer_pb.PartySignature(
            party=holder.party_id,
            public_key=holder.key.public_key,
            signature=sign(holder.key, digest),
        )
        payload = transfer_pb.ExpireTransfer(terms=deal.package.terms, party=signature)
        self._send(self._decider(deal), None, "expire_transfer", payload)

    def _reserve(self, deal: Deal) -> None:
        """A client reserves on its own, and tells no relay: whoever finds it ends it."""
        payload = transfer_pb.ReserveTransfer(
            terms=deal.package.terms,
            opening=deal.package.follower_opening,
            consents=deal.package.follower_consents,
        )
        self._send(self._follower(deal), None, "reserve_transfer", payload)

    def _commit(self, deal: Deal) -> None:
        """The holder of the secret decides, by itself."""
        payload = transfer_pb.CommitTransfer(
            transfer_id=deal.agreement.transfer_id, secret=deal.agreement.secret
        )
        self._send(self._decider(deal), None, "commit_transfer", payload)

    # --- parts -----------------------------------------------------------------------------------

    def _follower(self, deal: Deal) -> str:
        return self._names[deal.agreement.terms.follower_chain]

    def _decider(self, deal: Deal) -> str:
        return self._names[deal.agreement.terms.decider_chain]

    def _later(self, low_ms: int, high_ms: int, action: Callable[[], None]) -> None:
        self._world.after(self._random.randint(low_ms, high_ms) * 1_000, action)

    def _commit_within_ms(self, deal: Deal) -> tuple[int, int]:
        """Soon, or about the deadline."""
        left_ms = max(200, (deal.deadline_us - self._world.now_us) // 1_000)
        late = self._world.chance(LAST_MOMENT_PER_MILLE)
        return (left_ms - 200, left_ms + 1_000) if late else (0, 6_000)

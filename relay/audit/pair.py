"""Both chains together: what neither can see alone.

The books are read first: whatever they prove of the asset chain is then in what is read of it. What
the asset chain proves of later books is counted as `ahead` and judged by the next audit. The books
follow in every flow but the exit (X6), which they decide.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from msgspec.structs import replace

from assetchain.contracts.lineage.keys import LINEAGE as LOT_LINEAGE
from assetchain.contracts.lots.keys import BACKING, IMPAIRMENT, LOT
from assetchain.contracts.lots.keys import VALUATION as VALUATION_NOTICE
from assetchain.contracts.lots.types import Backing, Lot, LotState
from bizchain.contracts.cash.keys import FEE_TERMS
from bizchain.contracts.cash.queries import (
    days_begun,
    management_fee,
    read_leg,
    schedule_at,
    trade_fee,
)
from bizchain.contracts.cash.types import FeeTerms
from bizchain.contracts.exits.keys import EXIT_TERMS
from bizchain.contracts.exits.types import ExitLeg
from bizchain.contracts.incidents.keys import LOSS
from bizchain.contracts.lineage.keys import LINEAGE as RECEIPT_LINEAGE
from bizchain.contracts.lineage.queries import stored_since
from bizchain.contracts.lineage.types import RecastLeg
from bizchain.contracts.receipts.keys import RECEIPT
from bizchain.contracts.receipts.queries import lot_named_by, receipt_of
from bizchain.contracts.receipts.types import ROOTED_STATES, Receipt, ReceiptState
from bizchain.contracts.valuations.keys import VALUATION
from bizchain.contracts.valuations.queries import notice_of
from common.encoding import decode
from common.governance.subjects import is_shared
from common.ledger import lightclient, outbox
from common.ledger.grades import GRADE
from common.ledger.holds import HOLD
from common.ledger.identity import PARTY, PartyStatus
from common.ledger.ledger import Ledger
from common.ledger.lightclient import PEER_HEADER
from common.ledger.lineage import sum_of
from common.ledger.versions import VERSION
from common.transfer.facts import RecastFacts, ReceiptFacts
from common.transfer.machine import TRANSFER, Role, TransferRow, TransferState
from common.transfer.terms import opens_lock, read_terms, transfer_id_of
from relay.agreement import DECIDED_BY_BOOKS
from relay.audit.findings import Finding, PairReport, Violated, computing

__all__ = ["check_pair"]

_S = TransferState
NONE, RESERVED = _S.NONE, _S.RESERVED

TOGETHER = frozenset(
    {
        (NONE, _S.ABORTED),
        (RESERVED, NONE),
        (RESERVED, RESERVED),
        (RESERVED, _S.COMMITTED),
        (RESERVED, _S.ABORTED),
        (_S.SETTLED, _S.COMMITTED),
        (_S.RELEASED, _S.ABORTED),
    }
)
"""(follower, decider): the states that can stand side by side. All others break I1."""

ENDED = frozenset({(_S.SETTLED, _S.COMMITTED), (_S.RELEASED, _S.ABORTED), (NONE, _S.ABORTED)})


@dataclass(frozen=True, slots=True)
class _Side:
    """One chain of the pair."""

    ledger: Ledger

    @property
    def name(self) -> str:
        return self.ledger.chain.name

    def transfers(self) -> dict[bytes, TransferRow]:
        return {key[1:]: row for key, row in self.ledger.state.scan(TRANSFER)}

    def violated(self, invariant: str, message: str) -> Violated:
        return Violated(Finding(invariant, self.name, self.ledger.applied_height, message))


def check_pair(business: Ledger, asset: Ledger) -> PairReport:
    """Judge the two ledgers against each other. Raises `Violated` with the first violation."""
    books, assets = _Side(business), _Side(asset)
    with computing("pair", assets.name, assets.ledger.applied_height):
        return _judged(books, assets)


def _judged(books: _Side, assets: _Side) -> PairReport:
    headers, ahead = 0, 0
    for own, other in ((books, assets), (assets, books)):
        known, later = _check_light_client(own, other)
        headers, ahead = headers + known, ahead + later
    _check_mirror(books, assets)
    transfers = _check_outcomes(books, assets, ahead)
    receipts = _check_minted(books, assets, ahead)
    _check_fees(books)
    _check_names(books, assets)
    states = [(_state(follower), _state(decider)) for follower, decider in transfers.values()]
    return PairReport(
        len(transfers),
        sum(_S.COMMITTED in pair for pair in states),
        sum(_S.ABORTED in pair for pair in states),
        tuple(
            transfer_id.hex()
            for transfer_id, pair in zip(transfers, states, strict=True)
            if pair not in ENDED
        ),
        receipts,
        headers,
        ahead,
    )


def _check_light_client(own: _Side, other: _Side) -> tuple[int, int]:
    """Everything `own` believes of `other` is so: chain, node set, headers, messages.

    Returns how many headers were compared, and how many lie beyond what was read of `other`.
    """
    peer = lightclient.peer_of(own.ledger.state)
    if peer is None:
        return 0, 0
    if (peer.chain_id, peer.node_set) != (other.ledger.chain_id, other.ledger.node_set):
        raise own.violated("link", f"it is linked to another chain than this {other.name}")
    if peer.evidence:
        raise own.violated("B7", f"{other.name} certified two blocks at one height")
    compared, later = 0, 0
    for key, header in own.ledger.state.scan(PEER_HEADER):
        height = int.from_bytes(key[1:], "big")
        if height > other.ledger.applied_height:
            later += 1
        elif header.header_hash != other.ledger.hash_at(height):
            raise own.violated("light client", f"{other.name} has another header at {height}")
        else:
            compared += 1
    applied = outbox.counters(own.ledger.state).inbox_last
    sent = outbox.counters(other.ledger.state).outbox_last
    if applied > sent and not later:
        raise own.violated("messages", f"{applied} applied, {other.name} has sent {sent}")
    return compared, later


def _check_mirror(books: _Side, assets: _Side) -> None:
    """Once all messages are applied, parties, holds, grades, valuations, losses and what travels of
    what was voted are the same on both chains.
    """
    sent = outbox.counters(books.ledger.state).outbox_last
    if outbox.counters(assets.ledger.state).inbox_last != sent:
        return
    told = {
        key: party
        for key, party in books.ledger.state.scan(PARTY)
        if party.status != PartyStatus.PROPOSED
    }
    if told != dict(assets.ledger.state.scan(PARTY)):
        raise assets.violated("mirror", "its parties are not those of the books")
    if dict(books.ledger.state.scan(HOLD)) != dict(assets.ledger.state.scan(HOLD)):
        raise assets.violated("mirror", "its holds are not those of the books")
    if dict(books.ledger.state.scan(GRADE)) != dict(assets.ledger.state.scan(GRADE)):
        raise assets.violated("mirror", "its grades are not those of the books")
    valued = {row.receipt_id: notice_of(row) for _, row in books.ledger.state.scan(VALUATION)}
    told_of = {row.receipt_id: row for _, row in assets.ledger.state.scan(VALUATION_NOTICE)}
    if valued != told_of:
        raise assets.violated("mirror", "its valuations are not those of the books")
    lost = {
        row.receipt_id: (row.confirmed, row.impaired)
        for _, row in books.ledger.state.scan(LOSS)
        if row.confirmed
    }
    impaired = {
        row.receipt_id: (row.number, row.total) for _, row in assets.ledger.state.scan(IMPAIRMENT)
    }
    if lost != impaired:
        raise assets.violated("mirror", "its losses are not those of the books")
    if _shared_versions(books) != _shared_versions(assets):
        raise assets.violated("mirror", "its versions are not those the books voted")


def _shared_versions(side: _Side) -> set[tuple[str, str, int, int, bytes, bytes]]:
    """What both chains must agree on of every version but where it begins."""
    return {
        (row.kind, row.name, row.version, row.value, row.content, row.proposal_id)
        for _, row in side.ledger.state.scan(VERSION)
        if is_shared(row.kind, row.name)
    }


def _check_outcomes(
    books: _Side, assets: _Side, ahead: int
) -> dict[bytes, tuple[TransferRow | None, TransferRow | None]]:
    """I1, B7: no transfer ends differently on the two chains. Returns (follower, decider) of all.

    A decision of a transfer whose reservation lies beyond what was read of the books is passed by.
    """
    own, other = books.transfers(), assets.transfers()
    transfers: dict[bytes, tuple[TransferRow | None, TransferRow | None]] = {}
    for transfer_id in sorted({*own, *other}):
        rows = {books.name: own.get(transfer_id), assets.name: other.get(transfer_id)}
        first, second = (
            (books, assets)
            if _books_follow(rows[books.name], rows[assets.name])
            else (assets, books)
        )
        follower, decider = rows[first.name], rows[second.name]
        states = (_state(follower), _state(decider))
        if states not in TOGETHER and not (rows[books.name] is None and ahead):
            message = f"transfer {transfer_id.hex()}: {states[0] or 'NONE'} on {first.name}"
            raise second.violated("B7", f"{message}, {states[1] or 'NONE'} here")
        for side, row, role in ((first, follower, Role.FOLLOWER), (second, decider, Role.DECIDER)):
            if row is not None:
                _check_record(side, transfer_id, row, role)
        transfers[transfer_id] = (follower, decider)
    return transfers


def _books_follow(books: TransferRow | None, assets: TransferRow | None) -> bool:
    """Which chain follows is the flow's to say, not a record's."""
    row = books or assets
    return row is None or row.record.flow not in DECIDED_BY_BOOKS


def _check_record(side: _Side, transfer_id: bytes, row: TransferRow, role: str) -> None:
    """A record is in its role, of its own terms, and COMMIT carries what opens their lock."""
    if row.record.role != role:
        raise side.violated("B14", f"transfer {transfer_id.hex()} is {row.record.role} here")
    if not row.terms:
        return
    terms = read_terms(row.terms)
    if transfer_id_of(terms) != transfer_id:
        raise side.violated("B14", f"transfer {transfer_id.hex()} is stored with other terms")
    committed = row.record.state in {_S.COMMITTED, _S.SETTLED}
    if committed and not opens_lock(row.record.secret, terms.hash_lock):
        raise side.violated("I1", f"transfer {transfer_id.hex()} committed without its secret")


def _check_minted(books: _Side, assets: _Side, ahead: int) -> int:
    """B1, B4: units there are, are those of tokenised receipts, but for transfers still open."""
    receipts = {row.receipt_id: row for _, row in books.ledger.state.scan(RECEIPT)}
    minted = [lot for _, lot in assets.ledger.state.scan(LOT) if lot.minted]
    lots = {lot.receipt_id: lot for lot in minted}
    if len(lots) != len(minted):
        raise assets.violated("B1", "two lots are of one receipt")
    on_the_way = _carved_out(books, assets)
    for lot in lots.values():
        receipt = receipts.get(lot.receipt_id)
        if receipt is None:
            if not ahead and lot.receipt_id not in on_the_way:
                raise assets.violated("B4", f"lot {lot.lot_id} has no receipt behind it")
            continue
        if not _backs(receipt, lot, on_the_way.get(lot.receipt_id, 0), ahead):
            raise assets.violated("B4", f"lot {lot.lot_id} and receipt {lot.receipt_id} differ")
    for receipt in receipts.values():
        if receipt.state in ROOTED_STATES and receipt.receipt_id not in lots:
            raise books.violated("B4", f"receipt {receipt.receipt_id} is TOKENISED without a lot")
    _check_lineage(books, assets)
    _check_backing(books, assets)
    return len(receipts)


def _carved_out(books: _Side, assets: _Side) -> dict[str, int]:
    """By receipt: what X7 has taken of its lot, or made, that the books have yet to settle."""
    decided = assets.transfers()
    waiting: Counter[str] = Counter()
    for transfer_id, row in books.transfers().items():
        theirs = decided.get(transfer_id)
        if row.record.flow != "X7" or row.record.state != RESERVED or theirs is None:
            continue
        if theirs.record.state == _S.COMMITTED:
            leg, facts = decode(RecastLeg, row.leg), decode(RecastFacts, row.record.facts)
            whole = dict(zip(leg.parents, facts.quantities, strict=True))
            if len(leg.parents) == 1:
                whole = {leg.parents[0]: sum_of(leg.children)}
            waiting.update(whole)
            waiting.update({child.receipt_id: child.quantity for child in leg.children})
    return waiting


def _backs(receipt: Receipt, lot: Lot, carved: int, ahead: int) -> bool:
    """The receipt is the lot's: same goods, made by the lot's own transfer, as much of them.

    What was let out or superseded has no units; what leaves has them until the asset chain obeys.
    """
    alike = (receipt.unit, receipt.goods_code, receipt.transfer_id) == (
        lot.unit,
        lot.goods_code,
        lot.transfer_id,
    )
    left = lot.minted - lot.burned
    if not alike or lot.state == LotState.PENDING:
        return False
    if receipt.state == ReceiptState.SUPERSEDED:
        return lot.state == LotState.BURNED
    if receipt.state in {ReceiptState.RELEASING, ReceiptState.DELIVERED}:
        return left in (0, receipt.quantity)
    if receipt.state not in {ReceiptState.TOKENISED, ReceiptState.ISSUED}:
        return False
    return left == receipt.quantity - carved or bool(ahead and left < receipt.quantity)


def _check_lineage(books: _Side, assets: _Side) -> None:
    """B4: a receipt and its lot were made by one transfer, equally deep, of parents that match."""
    receipts = {key[1:].decode(): row for key, row in books.ledger.state.scan(RECEIPT_LINEAGE)}
    lots = {lot.lot_id: lot.receipt_id for _, lot in assets.ledger.state.scan(LOT)}
    for key, row in assets.ledger.state.scan(LOT_LINEAGE):
        lot_id = key[1:].decode()
        theirs = receipts.pop(lots.get(lot_id, ""), None)
        parents = tuple(lots.get(parent, "") for parent in row.parents)
        if theirs is not None and theirs != replace(row, parents=parents):
            raise assets.violated("B4", f"lot {lot_id} and its receipt have two lineages")
    if receipts:
        raise books.violated("B4", f"receipt {min(receipts)} has a lineage and its lot has none")


def _check_backing(books: _Side, assets: _Side) -> None:
    """B4: a lot names the receipt and the valuation that its X1 proved, or its one parent's."""
    state, proven = assets.ledger.state, books.transfers()
    for _, lot in state.scan(LOT):
        backing = state.get(BACKING, BACKING.key(lot.lot_id))
        lineage = state.get(LOT_LINEAGE, LOT_LINEAGE.key(lot.lot_id))
        row = proven.get(lot.transfer_id)
        if lineage is not None:
            parent = lineage.parents[0] if len(lineage.parents) == 1 else ""
            expected = state.get(BACKING, BACKING.key(parent))
        elif row is not None and row.record.flow == "X1" and lot.state != LotState.PENDING:
            facts = decode(ReceiptFacts, row.record.facts)
            expected = Backing(facts.receipt_hash, facts.valuation_hash)
        else:
            continue
        if backing != expected:
            raise assets.violated("B4", f"lot {lot.lot_id} names another receipt or valuation")


def _check_names(books: _Side, assets: _Side) -> None:
    """B5: the books know every lot by its name, so that a freeze of it holds the goods."""
    for _, lot in assets.ledger.state.scan(LOT):
        receipt = receipt_of(books.ledger.state, lot.receipt_id)
        is_made = receipt is not None and receipt.state in ROOTED_STATES
        if is_made and lot_named_by(books.ledger.state, lot.receipt_id) != lot.lot_id:
            raise books.violated("B5", f"{lot.receipt_id} would not be held with {lot.lot_id}")


def _check_fees(books: _Side) -> None:
    """B15: the fee of every trade is that of the schedule in force where its cash was reserved."""
    state, parameters = books.ledger.state, books.ledger.genesis.parameters
    for transfer_id, row in books.transfers().items():
        if row.record.flow == "X2" and row.leg:
            leg = read_leg(row.leg)
            terms = state.get(FEE_TERMS, FEE_TERMS.key(transfer_id)) or FeeTerms(0, 0)
            version, schedule = schedule_at(state, parameters, terms.reserved_height)
            scheduled = trade_fee(leg.amount, schedule.trade_basis_points)
            if (leg.fee, terms.schedule_version) != (scheduled, version):
                message = f"transfer {transfer_id.hex()}: fee {leg.fee}, scheduled {scheduled}"
                message += f" by version {version} (its own: {terms.schedule_version})"
                raise books.violated("B15", message)
        elif row.record.flow == "X6" and row.record.state == _S.COMMITTED:
            _check_storage(books, transfer_id, row)


def _check_storage(books: _Side, transfer_id: bytes, row: TransferRow) -> None:
    """B15: who lets goods out paid what the schedule asks of their value and their days."""
    state, parameters = books.ledger.state, books.ledger.genesis.parameters
    leg, terms = decode(ExitLeg, row.leg), state.get(EXIT_TERMS, EXIT_TERMS.key(transfer_id))
    if terms is None:
        raise books.violated("B15", f"exit {transfer_id.hex()} shows not how its fee was judged")
    version, schedule = schedule_at(state, parameters, terms.reserved_height)
    rate = schedule.management_basis_points_per_day
    days = days_begun(terms.since_unix_ms, leg.stored_until_unix_ms)
    due = management_fee(terms.value, days, rate)
    receipt = state.get(RECEIPT, RECEIPT.key(leg.receipt_id))
    since = None if receipt is None else stored_since(state, receipt)
    named = (leg.fee, terms.schedule_version, terms.since_unix_ms)
    if named != (due, version, since) or (rate and not terms.valuation_number):
        message = f"exit {transfer_id.hex()}: fee {leg.fee}, due {due} by version {version}"
        raise books.violated("B15", message)


def _state(row: TransferRow | None) -> TransferState:
    return NONE if row is None else TransferState(row.record.state)

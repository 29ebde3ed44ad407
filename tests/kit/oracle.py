"""An independent recomputation of both ledgers: what their own rules and invariants do not decide.

The oracle watches blocks as anyone could: accepted operations, events, rows. It keeps its own books
from them and compares after every block:

I1, B7   no transfer ends differently on the two chains; nobody settles before the decider decided
I2, B6   money and units are exactly those issued, journal entries explain every balance
I3, B8   what is reserved is exactly what agreed, open transfers reserve
B1 B3 B4 one live lot of a receipt; its units are those of the tokenised receipt
B5       nothing held starts a new move, and a hold is obeyed at most `freeze_lag_max` late
B14      records go only where the table of transitions (written out here again) allows
B16      one request id has one effect

    oracle = Oracle(pair)
    oracle.agreed(deal)          # what is not agreed is never reserved
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from assetchain.contracts.holdings.keys import HOLDING
from assetchain.contracts.holdings.types import TitleLeg, TitleMove
from assetchain.contracts.lots.keys import LOT
from assetchain.contracts.lots.types import MintLeg
from bizchain.contracts.cash.keys import CASH, ISSUANCE
from bizchain.contracts.cash.types import CashLeg, JournalEntry
from bizchain.contracts.receipts.keys import RECEIPT
from bizchain.contracts.receipts.types import ReceiptLeg
from common.deadline import expired
from common.encoding import decode
from common.ledger.block import Event, decode_leaf
from common.ledger.holds import HoldNotice
from common.ledger.inbox import AppliedMessage
from common.ledger.ledger import AppliedBlock
from common.ledger.outbox import Message
from common.ledger.transaction import Transaction
from common.ledger.transition import Parsed
from common.ledger.window import WINDOW_GRACE_MS
from common.transfer.machine import TRANSFER, TransferRow, TransferState
from common.transfer.pots import POT
from common.transfer.terms import consent_digest, decline_digest
from relay.agreement import Agreement
from tests.kit import cast
from tests.kit.pair import Pair
from tests.kit.side import Side, reason, verify

S = TransferState
ALLOWED = {
    "bizchain": {
        (S.NONE, S.RESERVED), (S.RESERVED, S.SETTLED), (S.RESERVED, S.RELEASED),
        (S.NONE, S.RELEASED),
    },
    "assetchain": {
        (S.NONE, S.RESERVED), (S.RESERVED, S.COMMITTED), (S.NONE, S.COMMITTED),
        (S.RESERVED, S.ABORTED), (S.NONE, S.ABORTED),
    },
}  # fmt: skip
ENDS = {S.SETTLED: S.COMMITTED, S.RELEASED: S.ABORTED}
MOVES = {
    "reserve_transfer", "commit_transfer", "reserve_and_commit_transfer", "move_title",
    "pay_cash", "withdraw_cash", "cancel_receipt", "claim_transfer",
}  # fmt: skip
"""Operations that move something a hold may lie on."""

AGREED = {"reserve_transfer", "reserve_and_commit_transfer", "decline_transfer"}
"""Operations that a party of the transfer must have signed for."""

Subject = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Placed:
    """A hold on the business chain. `lift` is the number of the message that says it is lifted."""

    subject: Subject
    case: tuple[str, str]
    since: int
    height: int
    lift: int | None


class Oracle:
    """Watches a pair; every block is checked before the next one."""

    def __init__(self, pair: Pair, agreed: Iterable[Agreement] = ()) -> None:
        self.pair = pair
        self.deals = {deal.transfer_id: deal for deal in agreed}
        self.seen: Counter[str] = Counter()
        self.is_content = True
        self._rows: dict[str, dict[bytes, TransferRow]] = {}
        self._effects: dict[bytes, int] = {}
        """By transaction id: until when the body that took effect could be valid."""
        self._cash: Counter[tuple[str, str]] = Counter()
        self._units: Counter[tuple[str, str]] = Counter()
        self._placed: list[Placed] = []
        self._known: dict[str, set[tuple[Subject, tuple[str, str]]]] = defaultdict(set)
        for side in pair.sides:
            self._rows[side.name] = {}
            for height in range(1, side.height + 1):
                self._read_events(side, height)
            self._rows[side.name] = dict(_transfers(side))
            side.observers.append(self._after)

    def agreed(self, deal: Agreement) -> None:
        self.deals[deal.transfer_id] = deal

    def standing(self) -> list[Placed]:
        """Holds in force on the business chain."""
        return [hold for hold in self._placed if hold.lift is None]

    def subject_of(self, deal: Agreement, kind: str) -> str:
        """A party, the receipt or the lot that a transfer is about."""
        leg = self._leg(self.pair.asset, deal)
        if kind == "party":
            return deal.decider.owner
        if kind == "lot":
            return str(leg.lot_id)
        if isinstance(leg, MintLeg):
            return leg.receipt_id
        return self._lot(leg.lot_id)[1][1]

    # --- after every block

    def _after(self, side: Side, parsed: Sequence[Parsed], applied: AppliedBlock) -> None:
        self.is_content = False
        self._effects_are_single(parsed, applied)
        self._owners_have_agreed(side, parsed, applied)
        self._holds_are_obeyed(side, parsed, applied)
        self._read_events(side, applied.height)
        self._records_move_as_allowed(side, applied.height)
        self._outcomes_agree()
        self._books_are_explained()
        self._escrow_is_agreed()
        self._lots_stand_on_receipts()
        for name, invariant in side.chain.invariants.items():
            assert not invariant(side.ledger.state), f"{side.name}: {name}"
        before = side.ledger.header_at(applied.height - 1)
        if all(receipt.code or receipt.repeat_of for receipt in applied.receipts):
            assert applied.header.state_root == before.state_root, "a refusal left a trace"
            assert applied.header.outbox_last == before.outbox_last
        self.is_content = True

    def _effects_are_single(self, parsed: Sequence[Parsed], applied: AppliedBlock) -> None:
        for transaction, receipt in zip(parsed, applied.receipts, strict=True):
            refused = reason(receipt)
            kind = transaction.kind if isinstance(transaction, Transaction) else "unreadable"
            self.seen[f"{kind}: {refused.name if refused else 'ok'}"] += 1
            if receipt.repeat_of is not None:
                self.seen["repeat answered"] += 1
                assert receipt.repeat_of <= (applied.height, receipt.position)
            elif not refused and isinstance(transaction, Transaction) and transaction.sender:
                before = self._effects.get(receipt.transaction_id)
                kept_until = 0 if before is None else before + WINDOW_GRACE_MS
                forgotten = expired(applied.header.time_unix_ms, kept_until)
                assert forgotten, "B16: a second effect while the first is remembered"
                self._effects[receipt.transaction_id] = transaction.valid_until_unix_ms

    def _owners_have_agreed(
        self, side: Side, parsed: Sequence[Parsed], applied: AppliedBlock
    ) -> None:
        """Nothing is reserved without its owner's consent, nor ended without a named party's."""
        for transaction, receipt in zip(parsed, applied.receipts, strict=True):
            if receipt.code or not isinstance(transaction, Transaction):
                continue
            operation: Any = transaction.payload
            if transaction.kind not in AGREED or self._was_done(side, transaction):
                continue
            deal = self.deals[self._row_of(side, transaction).record.transfer_id]
            leg = deal.follower if side is self.pair.business else deal.decider
            if transaction.kind == "decline_transfer":
                claims, allowed = [operation.party], {deal.terms.secret_holder, leg.owner}
                digest = decline_digest
            else:
                claims, allowed = list(operation.consents), {leg.owner}
                digest = consent_digest
            assert any(
                claim.party in allowed
                and claim.public_key in _keys_of(claim.party)
                and verify(claim.public_key, digest(deal.transfer_id, claim.party), claim.signature)
                for claim in claims
            ), f"{transaction.kind} without a word of {sorted(allowed)}"

    # --- holds

    def _holds_are_obeyed(
        self, side: Side, parsed: Sequence[Parsed], applied: AppliedBlock
    ) -> None:
        known = self._known[side.name]
        if side.name == "assetchain":
            for event in side.events(applied.height, "message-applied"):
                assert decode(AppliedMessage, event.payload).code == 0, "a true message rejected"
            for event in side.events(applied.height, "hold"):
                _note(known, decode(HoldNotice, event.payload))
        for transaction, receipt in zip(parsed, applied.receipts, strict=True):
            if receipt.code or receipt.repeat_of or not isinstance(transaction, Transaction):
                continue
            operation = transaction.payload
            if transaction.kind in {"place_hold", "lift_hold"}:
                self._hold_changed(side, transaction, receipt.position)
            elif transaction.kind in MOVES and not self._was_done(side, transaction):
                for subject in self._subjects(side, transaction):
                    held = [case for one, case in known if one == subject]
                    assert not held, f"B5: {transaction.kind} of held {subject}: {operation}"
                    if side.name == "assetchain" and transaction.kind != "claim_transfer":
                        self._freeze_wins(side, subject, transaction)

    def _hold_changed(self, side: Side, transaction: Transaction, position: int) -> None:
        operation = transaction.payload
        subject = (operation.subject_kind, operation.subject_id)  # type: ignore[attr-defined]
        case = (transaction.sender, operation.case_id)  # type: ignore[attr-defined]
        known = self._known[side.name]
        if transaction.kind == "place_hold":
            if (subject, case) not in known:
                known.add((subject, case))
                self._placed.append(Placed(subject, case, side.now, side.height, None))
            return
        known.discard((subject, case))
        [lift] = [
            decode(Message, event.payload).number
            for event in side.events(side.height, "message")
            if event.position == position
        ]
        self._placed = [
            replace(one, lift=lift)
            if (one.subject, one.case, one.lift) == (subject, case, None)
            else one
            for one in self._placed
        ]

    def _freeze_wins(self, side: Side, subject: Subject, transaction: Transaction) -> None:
        """Whatever relays do, no move starts `freeze_lag_max` after a hold that still stands."""
        lag = side.genesis.parameters.freeze_lag_max_ms
        applied = side.ledger.header.inbox_last
        proof = getattr(transaction.payload, "proof", None)
        for hold in self._placed:
            if hold.subject != subject or (hold.lift is not None and hold.lift <= applied):
                continue
            assert hold.since > side.now - lag, f"a freeze lost: {hold}"
            if proof is not None:
                assert proof.height < hold.height, f"a proof outran the hold before it: {hold}"

    def _subjects(self, side: Side, transaction: Transaction) -> list[Subject]:
        operation = transaction.payload
        if transaction.kind in {"pay_cash", "withdraw_cash", "claim_transfer"}:
            return [("party", transaction.sender)]
        if transaction.kind == "cancel_receipt":
            receipt_id: str = operation.receipt_id  # type: ignore[attr-defined]
            return [("party", transaction.sender), ("receipt", receipt_id)]
        if transaction.kind == "move_title":
            lot_id: str = operation.lot_id  # type: ignore[attr-defined]
            return [("party", transaction.sender), *self._lot(lot_id)]
        row = self._row_of(side, transaction)
        leg = self._leg(side, self.deals[row.record.transfer_id])
        match leg:
            case ReceiptLeg():
                return [("party", leg.owner), ("receipt", leg.receipt_id)]
            case MintLeg():
                subjects = [("party", leg.owner), ("lot", leg.lot_id)]
                return [*subjects, ("receipt", leg.receipt_id)]
            case CashLeg():
                return [("party", leg.payer), ("party", leg.payee)]
            case TitleLeg():
                subjects = [("party", leg.seller), ("party", leg.buyer)]
                return [*subjects, *self._lot(leg.lot_id)]
        raise AssertionError(leg)

    def _lot(self, lot_id: str) -> list[Subject]:
        lot = self.pair.asset.ledger.state.get(LOT, LOT.key(lot_id))
        assert lot is not None
        return [("lot", lot_id), ("receipt", lot.receipt_id)]

    def _was_done(self, side: Side, transaction: Transaction) -> bool:
        """Accepted because it was done before: nothing started."""
        if transaction.kind not in {*AGREED, "commit_transfer"}:
            return False
        row = self._row_of(side, transaction)
        before = self._rows[side.name].get(row.record.transfer_id)
        return before is not None and before.record.state == row.record.state

    def _row_of(self, side: Side, transaction: Transaction) -> TransferRow:
        operation = transaction.payload
        for transfer_id, row in _transfers(side):
            named = getattr(operation, "transfer_id", None) or None
            same_terms = row.terms == getattr(operation, "terms", None)
            if named == transfer_id or (named is None and same_terms):
                return row
        raise AssertionError("an accepted operation has a row")

    # --- records

    def _records_move_as_allowed(self, side: Side, height: int) -> None:
        rows = dict(_transfers(side))
        before = self._rows[side.name]
        for transfer_id, row in rows.items():
            earlier = before.get(transfer_id)
            if earlier == row:
                continue
            was = S(earlier.record.state) if earlier else S.NONE
            now = S(row.record.state)
            assert (was, now) in ALLOWED[side.name], (was, now)
            assert transfer_id in self.deals, "a transfer nobody agreed on"
            assert row.height == height
            self._ended(side, self.deals[transfer_id], row, now)
        assert before.keys() <= rows.keys(), "a record was deleted"
        self._rows[side.name] = rows

    def _ended(self, side: Side, deal: Agreement, row: TransferRow, now: TransferState) -> None:
        self.seen[f"{deal.terms.flow} {deal.terms.mode} {now} {row.record.reason}".strip()] += 1
        self.seen[f"{now} {row.record.reason}".strip()] += 1
        if not row.leg:
            self.seen[f"tombstone {now}"] += 1
        if now is S.SETTLED and self._is_held_on_arrival(deal):
            self.seen["arrived held"] += 1
        if now is S.COMMITTED:
            assert row.record.secret == deal.secret
            assert side.now < deal.terms.deadline_unix_ms, "decided COMMIT at or after the deadline"
            follower = self._rows["bizchain"].get(deal.transfer_id)
            assert follower is not None, "COMMIT of what was never reserved"
            assert follower.record.state == S.RESERVED, "COMMIT of what is not reserved"
        if now is S.ABORTED and row.record.reason == "expired":
            assert side.now >= deal.terms.deadline_unix_ms, "expired before the deadline"
        if side.name == "bizchain" and deal.terms.flow == "X2":
            self._money_went_where_agreed(side, deal, row)

    def _is_held_on_arrival(self, deal: Agreement) -> bool:
        leg = self._leg(self.pair.asset, deal)
        lot_id = leg.lot_id
        subjects = {*self._lot(lot_id), *(("party", owner) for owner in deal.owners)}
        return any(one in subjects for one, _ in self._known["bizchain"])

    def _money_went_where_agreed(self, side: Side, deal: Agreement, row: TransferRow) -> None:
        leg = self._leg(side, deal)
        assert isinstance(leg, CashLeg)
        moved: Counter[str] = Counter()
        for event in side.events(row.height, "journal"):
            entry = decode(JournalEntry, event.payload)
            if entry.reference == deal.transfer_id.hex():
                moved[entry.debit.replace("claimable", "available")] -= entry.amount
                moved[entry.credit.replace("claimable", "available")] += entry.amount
        paid: Counter[str] = Counter({f"reserved/{leg.payer}": -leg.amount})
        payer = Counter(paid)
        payer[f"available/{leg.payer}"] += leg.amount
        paid[f"available/{leg.payee}"] += leg.amount - leg.fee
        paid[f"available/{cast.FEE_PARTY}"] += leg.fee
        expected: dict[str, Counter[str]] = {
            S.RESERVED: Counter({key: -value for key, value in payer.items()}),
            S.RELEASED: payer if row.leg else Counter(),
            S.SETTLED: paid,
        }
        assert moved == expected[row.record.state], (moved, row.record.state)

    def _outcomes_agree(self) -> None:
        """I1, and that the follower obeys only what is decided."""
        business, asset = self._rows["bizchain"], self._rows["assetchain"]
        for transfer_id, row in business.items():
            expected = ENDS.get(S(row.record.state))
            if expected is not None:
                theirs = asset.get(transfer_id)
                assert theirs is not None, "ended on the follower, unknown to the decider"
                assert theirs.record.state == expected, "I1: one transfer, two outcomes"

    # --- value

    def _read_events(self, side: Side, height: int) -> None:
        for leaf in side.ledger.leaves_at(height):
            event = decode_leaf(leaf)
            if not isinstance(event, Event):
                continue
            if event.kind == "journal":
                entry = decode(JournalEntry, event.payload)
                self._cash[entry.debit, entry.currency] -= entry.amount
                self._cash[entry.credit, entry.currency] += entry.amount
                self.seen["pot filled"] += entry.credit.startswith("claimable/")
                self.seen["pot claimed"] += entry.debit.startswith("claimable/")
            elif event.kind == "title":
                move = decode(TitleMove, event.payload)
                self._units[move.giver, move.lot_id] -= move.quantity
                self._units[move.receiver, move.lot_id] += move.quantity
            elif event.kind == "lot":
                lot = side.ledger.state.get(LOT, LOT.key(event.key))
                assert lot is not None
                receipt = self._receipt(lot.receipt_id)
                self._units[receipt.owner, lot.lot_id] += lot.minted

    def _receipt(self, receipt_id: str):  # type: ignore[no-untyped-def]
        receipt = self.pair.business.ledger.state.get(RECEIPT, RECEIPT.key(receipt_id))
        assert receipt is not None
        return receipt

    def _books_are_explained(self) -> None:
        """I2, B6: every balance is the sum of its journal entries; a title, of its moves."""
        books, cash = self.pair.business.ledger.state, Counter[tuple[str, str]]()
        for key, account in books.scan(CASH):
            party, currency = _parts(key)
            assert min(account.available, account.reserved) >= 0, "B6: a negative balance"
            cash[f"available/{party}", currency] = account.available
            cash[f"reserved/{party}", currency] = account.reserved
        for _, pot in books.scan(POT):
            cash[f"claimable/{pot.party}", pot.asset] += pot.quantity
        for key, issued in books.scan(ISSUANCE):
            currency, bank = _parts(key)
            cash[f"issuance/{bank}", currency] = issued.redeemed - issued.issued
        assert cash == self._cash, f"B6: {_difference(cash, self._cash)}"
        titles, units = self.pair.asset.ledger.state, Counter[tuple[str, str]]()
        for key, holding in titles.scan(HOLDING):
            party, lot_id = _parts(key)
            units[party, lot_id] += holding.free + holding.reserved
            assert min(holding.free, holding.reserved) >= 0
        for _, pot in titles.scan(POT):
            units[pot.party, pot.asset] += pot.quantity
        assert units == self._units, f"B3: {_difference(units, self._units)}"

    def _escrow_is_agreed(self) -> None:
        """I3, B8: reserved is exactly what open transfers, as agreed, reserve."""
        cash: Counter[tuple[str, str]] = Counter()
        units: Counter[tuple[str, str]] = Counter()
        receipts: Counter[str] = Counter()
        for side in self.pair.sides:
            for transfer_id, row in self._rows[side.name].items():
                if row.record.state != S.RESERVED:
                    continue
                match leg := self._leg(side, self.deals[transfer_id]):
                    case CashLeg():
                        cash[leg.payer, leg.currency] += leg.amount
                    case TitleLeg():
                        units[leg.seller, leg.lot_id] += leg.quantity
                    case ReceiptLeg():
                        receipts[leg.receipt_id] += 1
        books = self.pair.business.ledger.state
        assert cash == Counter(
            {_parts(key): one.reserved for key, one in books.scan(CASH) if one.reserved}
        ), "B8: cash in escrow is not what open transfers reserve"
        assert receipts == Counter(
            one.receipt_id
            for _, one in books.scan(RECEIPT)
            if one.state == "ISSUED" and one.transfer_id
        ), "I3: a receipt is reserved twice, or for nothing"
        titles = self.pair.asset.ledger.state
        assert units == Counter(
            {_parts(key): one.reserved for key, one in titles.scan(HOLDING) if one.reserved}
        ), "B8: units in escrow are not what open transfers reserve"

    def _lots_stand_on_receipts(self) -> None:
        """B1, B3, B4, across both chains."""
        live: Counter[str] = Counter()
        for _, lot in self.pair.asset.ledger.state.scan(LOT):
            live[lot.receipt_id] += 1
            assert live[lot.receipt_id] == 1, "B1: two lots of one receipt"
            receipt = self._receipt(lot.receipt_id)
            if lot.state == "ACTIVE":
                assert lot.minted == receipt.quantity, "B4"
                assert receipt.state in {"ISSUED", "TOKENISED"}, "B4: goods left under a live lot"
                assert receipt.transfer_id == lot.transfer_id, "B4: backed by another transfer"
            else:
                assert lot.minted == 0
        for _, receipt in self.pair.business.ledger.state.scan(RECEIPT):
            if receipt.state == "TOKENISED":
                assert live[receipt.receipt_id] == 1, "B4: tokenised without a lot"

    def _leg(self, side: Side, deal: Agreement):  # type: ignore[no-untyped-def]
        leg = deal.follower if side is self.pair.business else deal.decider
        return side.chain.legs[deal.terms.flow].read(leg.value)[0]


def _transfers(side: Side) -> Iterable[tuple[bytes, TransferRow]]:
    return ((key[1:], row) for key, row in side.ledger.state.scan(TRANSFER))


def _keys_of(party_id: str) -> list[bytes]:
    return [user.public_key for user in cast.party(party_id, "buyer").users]


def _parts(key: bytes) -> tuple[str, str]:
    first, second = key[1:].decode().split("/")
    return first, second


def _difference(left: Counter[tuple[str, str]], right: Counter[tuple[str, str]]) -> object:
    names = sorted(left.keys() | right.keys())
    return {name: (left[name], right[name]) for name in names if left[name] != right[name]}


def _note(known: set[tuple[Subject, tuple[str, str]]], notice: HoldNotice) -> None:
    entry = (
        (notice.subject_kind, notice.subject_id),
        (notice.hold.authority, notice.hold.case_id),
    )
    if notice.placed:
        known.add(entry)
    else:
        known.discard(entry)

"""A tiny chain for tests of the ledger and the node: accounts that count what they are sent.

`deposit_cash` (by a bank) makes units, `pay_cash` moves them, `withdraw_cash` breaks an invariant
on purpose. The message types are borrowed from a real chain; the rules are a dozen lines.
"""

from __future__ import annotations

from collections.abc import Sequence

from bizchain.v1.operation_pb2 import DepositCash, Operation, PayCash, WithdrawCash
from common.crypto.signing import SigningKey
from common.encoding import Canonical
from common.errors import CommonReason, InvariantBroken, Refused
from common.ledger.certificate import NodeEntry, NodeSet
from common.ledger.chain import Chain, Context, Phase, Rule
from common.ledger.compose import Author, Composed, compose
from common.ledger.genesis import Genesis, Member, Parameters
from common.ledger.identity import Party, PartyStatus, RoleGrant, User
from common.ledger.state import Commitment, Reader, Table
from common.raft.quorum import certificate_quorum

START_UNIX_MS = 1_800_000_000_000
NODE_IDS = ("bank-1", "core-1", "logistics-1", "warehouse-1")
FOREVER_UNIX_MS = 253_402_300_000_000


class Account(Canonical, frozen=True):
    """Units of one party."""

    units: int


class Note(Canonical, frozen=True):
    """Event `paid`."""

    payer: str
    payee: str
    units: int


ACCOUNT = Table(b"\x7e", "tally_account", Account, Commitment.TREE)


def units_of(state: Reader, party: str) -> int:
    row = state.get(ACCOUNT, ACCOUNT.key(party))
    return row.units if row else 0


def check_deposit(context: Context, operation: DepositCash) -> int:
    context.require_role("bank")
    if operation.amount <= 0:
        raise Refused(CommonReason.AMOUNT_OUT_OF_RANGE, "more than nothing")
    return operation.amount


def apply_deposit(context: Context, operation: DepositCash, units: int) -> None:
    add(context, operation.party, units)


def check_pay(context: Context, operation: PayCash) -> int:
    if not 0 < operation.amount <= units_of(context.state, context.sender):
        raise Refused(CommonReason.AMOUNT_OUT_OF_RANGE, "more than there is")
    return operation.amount


def apply_pay(context: Context, operation: PayCash, units: int) -> None:
    add(context, context.sender, -units)
    add(context, operation.payee, units)
    context.emit("paid", operation.payee, Note(context.sender, operation.payee, units))


def add(context: Context, party: str, units: int) -> None:
    total = units_of(context.state, party) + units
    context.state.put(ACCOUNT, ACCOUNT.key(party), Account(total))


def check_burn(context: Context, operation: WithdrawCash) -> None:
    if operation.amount == 1:  # a check that writes
        add(context, context.sender, 1)


def apply_burn(_: Context, operation: WithdrawCash, __: None) -> None:
    if operation.amount > 1:
        raise InvariantBroken(f"burning {operation.amount} was never possible")


CHAIN = Chain(
    name="tally",
    operation_type=Operation,
    rules={
        "deposit_cash": Rule(DepositCash, check_deposit, apply_deposit, phase=Phase.IMPORT),
        "pay_cash": Rule(PayCash, check_pay, apply_pay),
        "withdraw_cash": Rule(WithdrawCash, check_burn, apply_burn),
    },
    legs={},
)


def key_of(name: str) -> SigningKey:
    """The key of a node, member or user of that name."""
    return SigningKey(name.encode().ljust(32, b"."))


def make_node_set(node_ids: Sequence[str], quorum: int | None = None) -> NodeSet:
    entries = tuple(
        NodeEntry(node_id, "consortium", "voter", key_of(node_id).public_key, bytes(32))
        for node_id in sorted(node_ids)
    )
    return NodeSet(0, entries, quorum or certificate_quorum(len(entries)))


def make_party(party_id: str, *roles: str) -> Party:
    grants = tuple(RoleGrant(role, FOREVER_UNIX_MS) for role in roles)
    users = (User("user-1", key_of(party_id).public_key),)
    return Party(party_id, party_id.title(), "", PartyStatus.ACTIVE, grants, users, b"")


def make_genesis(
    node_ids: Sequence[str] = NODE_IDS, quorum: int | None = None, network: str = "test"
) -> Genesis:
    return Genesis(
        1,
        "tally",
        network,
        START_UNIX_MS,
        make_node_set(node_ids, quorum),
        (Member("consortium", "Consortium", key_of("consortium").public_key),),
        Parameters(60_000, 3_600_000, 30_000, 0, ""),
        (make_party("acme", "buyer"), make_party("bank", "bank"), make_party("zeta", "supplier")),
    )


def make_transaction(
    chain_id: bytes,
    sender: str,
    operation: Operation,
    number: int,
    valid_until_unix_ms: int = START_UNIX_MS + 600_000,
) -> Composed:
    return compose(
        chain_id,
        operation,
        request_id=number.to_bytes(16, "big"),
        valid_until_unix_ms=valid_until_unix_ms,
        author=Author(sender, key_of(sender)),
    )


def deposit(party: str, amount: int) -> Operation:
    return Operation(deposit_cash=DepositCash(party=party, currency="EUR", amount=amount))


def pay(payee: str, amount: int) -> Operation:
    return Operation(pay_cash=PayCash(payee=payee, currency="EUR", amount=amount))


def burn(amount: int) -> Operation:
    return Operation(withdraw_cash=WithdrawCash(bank="bank", currency="EUR", amount=amount))

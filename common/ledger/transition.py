"""The state transition: one block applied to the state, the same on every node.

    open -> judge each transaction (imports first) -> evict the window -> close

Nothing here reads a clock or fails half-way: a refused transaction leaves a receipt with its reason
and no other trace; anything else that is raised is a broken invariant and stops the node.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec.structs import replace

from common.crypto.digest import sha256
from common.encoding import encode
from common.errors import CommonReason, InvariantBroken, Refused
from common.ledger import window
from common.ledger.block import Block, Event, TransactionReceipt
from common.ledger.chain import Chain, Context, Phase, SignatureClaim
from common.ledger.identity import signer_roles
from common.ledger.transaction import Transaction, parse

__all__ = [
    "Judged",
    "Parsed",
    "admit",
    "apply_transactions",
    "claims_of",
    "identify",
    "judge",
    "parse_all",
    "parse_one",
]

MESSAGE_CHARACTERS_MAX = 200

Parsed = Transaction | Refused


class Judged(NamedTuple):
    """What a block's transactions did, beside the writes now in the state's overlay."""

    receipts: tuple[TransactionReceipt, ...]
    events: tuple[Event, ...]

    def leaves(self) -> list[bytes]:
        """The leaves of the block's event tree."""
        return [encode(leaf) for leaf in (*self.receipts, *self.events)]


def parse_all(chain: Chain, block: Block) -> list[Parsed]:
    """Each transaction of a block, parsed, or the refusal its bytes deserve."""
    return [parse_one(chain, raw) for raw in block.transactions]


def parse_one(chain: Chain, raw: bytes) -> Parsed:
    """A transaction, or the refusal its bytes deserve."""
    try:
        return parse(raw, chain.operation_type)
    except Refused as refused:
        return refused


def claims_of(chain: Chain, chain_id: bytes, transaction: Transaction) -> list[SignatureClaim]:
    """Every signature of a transaction, so that they can be verified beforehand."""
    rule = chain.rules.get(transaction.kind)
    if rule is None:
        return []
    claims = list(rule.signatures(transaction.payload, chain_id)) if rule.signatures else []
    if transaction.sender:
        own = SignatureClaim(transaction.public_key, transaction.body_hash, transaction.signature)
        claims.append(own)
    return claims


def apply_transactions(context: Context, raws: Sequence[bytes], parsed: Sequence[Parsed]) -> Judged:
    """Apply a block's transactions in their order, those of `Phase.IMPORT` before all others.

    The writes stay in `context.state` until its changes are taken.
    """
    receipts: list[TransactionReceipt | None] = [None] * len(parsed)
    order = sorted(range(len(parsed)), key=lambda at: (_phase(context.chain, parsed[at]), at))
    for position in order:
        context.position = position
        transaction = parsed[position]
        if isinstance(transaction, Refused):
            receipts[position] = _unreadable(raws[position], position, transaction)
        else:
            receipts[position] = _apply_one(context, transaction)
    window.evict(context.state, context.time_unix_ms)
    done = tuple(receipt for receipt in receipts if receipt is not None)
    if len(done) != len(parsed):
        raise InvariantBroken("a transaction of the block was not judged")
    return Judged(done, tuple(context.events))


def admit(context: Context, transaction: Transaction) -> None:
    """Refuse what no state could accept: another chain's, an unknown operation, a bad signature."""
    if transaction.chain_id != context.chain_id:
        raise Refused(CommonReason.WRONG_CHAIN, "the transaction names another chain")
    rule = context.chain.rules.get(transaction.kind)
    if rule is None:
        raise Refused(CommonReason.UNKNOWN_OPERATION, f"{transaction.kind} has no rule here")
    if rule.signed != bool(transaction.sender):
        need = "must be signed by" if rule.signed else "carries its own justification and has no"
        raise Refused(CommonReason.UNSIGNED, f"{transaction.kind} {need} a sender")
    if rule.signed and not context.verify(
        transaction.public_key, transaction.body_hash, transaction.signature
    ):
        raise Refused(CommonReason.BAD_SIGNATURE, "the signature is not the key's over this body")


def identify(context: Context, transaction: Transaction) -> None:
    """Refuse what is signed by no user of an active party.

    Tells the context who signed, and the roles in force.
    """
    context.sender = transaction.sender
    context.public_key = transaction.public_key
    context.roles = (
        signer_roles(
            context.state, transaction.sender, transaction.public_key, context.time_unix_ms
        )
        if transaction.sender
        else frozenset()
    )


def judge(context: Context, transaction: Transaction) -> object:
    """The plan of a transaction the state accepts now. Raises `Refused`; writes nothing."""
    admit(context, transaction)
    _check_validity(context, transaction)
    identify(context, transaction)
    rule = context.chain.rules[transaction.kind]
    if transaction.sender:
        context.chain.permit(context, transaction.sender, transaction.kind)
    context.state.writable = False
    try:
        return rule.check(context, transaction.payload)
    finally:
        context.state.writable = True


def _check_validity(context: Context, transaction: Transaction) -> None:
    time_unix_ms = context.time_unix_ms
    window.check_validity(transaction.valid_until_unix_ms, time_unix_ms, time_unix_ms)


def _apply_one(context: Context, transaction: Transaction) -> TransactionReceipt:
    if transaction.sender:
        earlier = window.recorded(context.state, transaction.transaction_id, context.time_unix_ms)
        if earlier is not None:
            return _repeat(context, transaction, earlier)
    code, message = 0, ""
    try:
        plan = judge(context, transaction)
    except Refused as refused:
        code, message = refused.reason.number, refused.message[:MESSAGE_CHARACTERS_MAX]
    else:
        context.chain.rules[transaction.kind].apply(context, transaction.payload, plan)
    if _is_kept(transaction, code):
        result = window.Recorded(
            transaction.body_hash,
            context.height,
            context.position,
            code,
            message,
            transaction.valid_until_unix_ms,
        )
        window.record(context.state, transaction.transaction_id, result)
    return TransactionReceipt(
        transaction.transaction_id, transaction.body_hash, context.position, code, message, None
    )


_TAKES_NO_ID = frozenset(reason.number for reason in window.TAKES_NO_ID)


def _is_kept(transaction: Transaction, code: int) -> bool:
    """Whether a result takes the request id: only what the sender signed, and in its time."""
    return bool(transaction.sender) and code not in _TAKES_NO_ID


def _repeat(
    context: Context, transaction: Transaction, earlier: window.Recorded
) -> TransactionReceipt:
    same = earlier.body_hash == transaction.body_hash
    if not same and transaction.valid_until_unix_ms > earlier.valid_until_unix_ms:
        _keep_longer(context, transaction, earlier)
    reused = CommonReason.REQUEST_ID_REUSED
    return TransactionReceipt(
        transaction.transaction_id,
        transaction.body_hash,
        context.position,
        earlier.code if same else reused.number,
        earlier.message if same else "the request id was used for another body",
        (earlier.height, earlier.position),
    )


def _keep_longer(context: Context, transaction: Transaction, earlier: window.Recorded) -> None:
    """One request id has one effect, also where a second body of it could outlive the first result.

    Only a body that its sender truly signed, and that is valid now, makes the result stay.
    """
    try:
        admit(context, transaction)
        _check_validity(context, transaction)
        identify(context, transaction)
    except Refused:
        return
    kept = replace(earlier, valid_until_unix_ms=transaction.valid_until_unix_ms)
    window.record(context.state, transaction.transaction_id, kept)


def _unreadable(raw: bytes, position: int, refused: Refused) -> TransactionReceipt:
    digest = sha256(raw)
    message = refused.message[:MESSAGE_CHARACTERS_MAX]
    return TransactionReceipt(digest, digest, position, refused.reason.number, message, None)


def _phase(chain: Chain, parsed: Parsed) -> Phase:
    rule = None if isinstance(parsed, Refused) else chain.rules.get(parsed.kind)
    return Phase.ACT if rule is None else rule.phase

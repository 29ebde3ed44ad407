"""Applying the other chain's messages: in order, without gaps, each exactly once, never blocked.

A message that cannot be carried out (an unknown kind, a payload that is refused) is recorded as
rejected with its reason, and the sequence goes on: a poison message must not stand before a freeze.
"""

from __future__ import annotations

from common.encoding import Canonical, decode
from common.errors import CommonReason, Refused
from common.ledger import lightclient, outbox
from common.ledger.block import EventKind
from common.ledger.chain import Context
from common.ledger.outbox import Counters, Message
from common.v1.transfer_pb2 import ApplyMessages

__all__ = ["AppliedMessage", "apply_messages", "check_messages"]

MESSAGES_MAX = 200


class AppliedMessage(Canonical, frozen=True):
    """Event `message-applied`: what became of message `number`. Code 0, or that of the reason."""

    number: int
    kind: str
    code: int
    message: str


def check_messages(context: Context, operation: ApplyMessages) -> list[Message]:
    """The new messages among the proven ones, in order. Known ones at the front are done."""
    if not 0 < len(operation.messages) <= MESSAGES_MAX:
        raise Refused(CommonReason.INVALID_ARGUMENT, f"1 to {MESSAGES_MAX} messages at a time")
    expected = outbox.counters(context.state).inbox_last + 1
    fresh: list[Message] = []
    for proof in operation.messages:
        event = lightclient.proven_message(context, proof)
        if event.kind != EventKind.MESSAGE:
            raise Refused(CommonReason.BAD_PROOF, "the leaf is not a message")
        message = decode(Message, event.payload)
        if message.number > expected:
            raise Refused(CommonReason.MESSAGE_OUT_OF_ORDER, f"message {expected} comes first")
        if message.number == expected:
            fresh.append(message)
            expected += 1
    return fresh


def apply_messages(context: Context, _: ApplyMessages, messages: list[Message]) -> None:
    """Apply or reject each message, and advance the counter past all of them."""
    for message in messages:
        code, text = _apply_one(context, message)
        known = outbox.counters(context.state)
        outbox.put_counters(
            context.state,
            Counters(known.outbox_last, known.outbox_acknowledged, message.number),
        )
        applied = AppliedMessage(message.number, message.kind, code, text)
        context.emit("message-applied", str(message.number), applied)
    lightclient.refresh(context)


def _apply_one(context: Context, message: Message) -> tuple[int, str]:
    rule = context.chain.messages.get(message.kind)
    if rule is None:
        reason = CommonReason.UNKNOWN_OPERATION
        return reason.number, f"no rule for messages of kind {message.kind}"
    try:
        payload = decode(rule.payload, message.payload)
        rule.check(context, payload)
    except Refused as refused:
        return refused.reason.number, refused.message
    rule.apply(context, payload)
    return 0, ""

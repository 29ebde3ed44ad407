"""From a step of a transfer to the operation that asks a chain for it."""

from __future__ import annotations

from google.protobuf.message import Message

from common.transfer.machine import Role
from common.v1 import transfer_pb2 as pb
from relay.effects import Operation
from relay.inputs import Package
from relay.reconciler.packages import to_opening, to_signature
from relay.reconciler.policy import Policy
from relay.reconciler.transfers import Action, Step, Transfer

__all__ = ["operation_of"]


_REVEALING = (Action.COMMIT, Action.RESERVE_AND_COMMIT)


def operation_of(transfer: Transfer, step: Step, policy: Policy) -> Operation:
    """The operation of a step that `judge` gave for this transfer."""
    reveals = step.action in _REVEALING
    not_after = transfer.deadline_unix_ms - policy.secret_guard_ms if reveals else 0
    return Operation(step.action.value, _payload(transfer, step), not_after)


def _payload(transfer: Transfer, step: Step) -> Message:
    proof = step.proof.proof if step.proof else None
    if step.action is Action.SETTLE:
        return pb.SettleTransfer(transfer_id=transfer.transfer_id, proof=proof)
    if step.action is Action.EXPIRE:
        return pb.ExpireTransfer(terms=transfer.terms_bytes, proof=proof)
    package = transfer.package
    assert package is not None, "every other step needs what a client handed over"
    if step.action is Action.COMMIT:
        return pb.CommitTransfer(transfer_id=transfer.transfer_id, secret=package.secret)
    if step.action is Action.DECLINE:
        return _decline(transfer, package)
    return _reserve(transfer, package, step, proof)


def _decline(transfer: Transfer, package: Package) -> Message:
    assert package.decline is not None, "a decline is carried for who signed it"
    opening = package.decider_opening
    return pb.DeclineTransfer(
        terms=transfer.terms_bytes,
        party=to_signature(package.decline),
        opening=to_opening(opening) if opening else None,
    )


def _reserve(
    transfer: Transfer, package: Package, step: Step, proof: pb.EventProof | None
) -> Message:
    role = Role.FOLLOWER if step.chain == transfer.follower_chain else Role.DECIDER
    follows = role == Role.FOLLOWER
    opening = package.follower_opening if follows else package.decider_opening
    consents = package.follower_consents if follows else package.decider_consents
    assert opening is not None, "a leg is reserved by its opening"
    if step.action is Action.RESERVE_AND_COMMIT:
        return pb.ReserveAndCommitTransfer(
            terms=transfer.terms_bytes,
            opening=to_opening(opening),
            consents=[to_signature(one) for one in consents],
            proof=proof,
            secret=package.secret,
        )
    return pb.ReserveTransfer(
        terms=transfer.terms_bytes,
        opening=to_opening(opening),
        consents=[to_signature(one) for one in consents],
        proof=proof,
    )

"""What the other chain's members decided, applied here: the message `parameter`."""

from __future__ import annotations

from collections.abc import Callable

from common.errors import CommonReason, Refused
from common.governance.subjects import CONTENT_BYTES_MAX, SHARED_PARAMETERS
from common.ledger.chain import Context, MessageRule
from common.ledger.grades import POLICY_TABLE, check_policy
from common.ledger.versions import PARAMETER, Enactment, enact, latest_of

__all__ = ["enactment_rule"]


def enactment_rule(accepts: Callable[[str, str], bool]) -> MessageRule[Enactment]:
    """Takes what `accepts` says of (kind, name). In force from the next block on.

    The members of the other chain have judged what it says; here it must be one of the subjects
    that travel, newer than what is known, and one that this chain can judge by: a parameter within
    its range, a policy that holds together.
    """

    def check(context: Context, enactment: Enactment) -> None:
        kind, name = enactment.kind, enactment.name
        if not accepts(kind, name) or len(enactment.content) > CONTENT_BYTES_MAX:
            raise Refused(CommonReason.INVALID_ARGUMENT, f"{kind}/{name} does not travel")
        allowed = SHARED_PARAMETERS.get(name) if kind == PARAMETER else None
        if allowed and not allowed.least <= enactment.value <= allowed.greatest:
            message = f"{name} cannot be {enactment.value}"
            raise Refused(CommonReason.INVALID_ARGUMENT, message)
        if kind == POLICY_TABLE:
            check_policy(name, enactment.content)
        known = latest_of(context.state, kind, name).version
        if enactment.version <= known:
            raise Refused(
                CommonReason.INVALID_ARGUMENT,
                f"version {enactment.version} of {kind}/{name} comes after {known}",
            )

    def apply(context: Context, enactment: Enactment) -> None:
        enact(context, enactment, 0)

    return MessageRule(Enactment, check, apply)

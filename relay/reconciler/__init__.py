"""Deciding what a relay does next: pure, so that the simulation runs the very same code.

A `Reconciler` is level-triggered. It compares what both chains have recorded with what there is to
do, and does the next useful thing for each transfer; events only make it fast. It holds no power:
all it sends are operations that carry their own justification, and each chain judges them.

    core.py        inputs in, effects out: the one entry is `advance`
    transfers.py   one transfer, and `judge`: what it awaits and the next step
    planning.py    all transfers, and whose turn it is; agenda.py: when to look again
    lanes.py       headers and messages that one chain needs of the other
    queues.py      what waits for a chain, and what is on its way; batches.py puts batches together
    operations.py  from a step to an operation; refusals.py: what a refusal asks for
    packages.py    what clients hand over, judged at the door
    voices.py      what was signed, kept apart by who handed it over
    explain.py     what a transfer waits for, in words
    policy.py      all numbers

Rules
-----
- A package is durable before anything is sent for it. What was sent is never remembered but read
  back: a repeat is "already done", and that is success.
- A refusal is never an outcome. It sets back its own transfer alone, with growing, jittered waits,
  and after some it is set aside with the reason; it is tried again for ever.
- What anybody can sign replaces nothing. A decline that was refused makes later declines wait, and
  never another step.
- The secret goes to the decider only, never within `secret_guard_ms` of the deadline.
- One batch holds what many transfers need: a header is imported once, then messages in order, then
  the steps. The next batch is built when an earlier one is answered.
- Every memory here is bounded, and may be lost.

Example:
--------
    reconciler = Reconciler((business, asset), Policy(), random_ms)
    for effect in reconciler.advance(now_unix_ms, [PackageReceived(transfer_id, package)]):
        carry_out(effect)                                  # in order; Persist is a barrier
"""

from relay.reconciler.core import Reconciler
from relay.reconciler.policy import ChainPlan, Policy

__all__ = ["ChainPlan", "Policy", "Reconciler"]

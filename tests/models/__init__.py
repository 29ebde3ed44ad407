"""Explicit-state models of the rules that keep two ledgers true: every schedule, within a bound.

Purpose. Most rules of the protocol exist because leaving them out loses value or blocks for ever.
Each model states its rules as data, so that one rule can be taken away: the full set must be safe
and never stuck, and each *negative control* must be found unsafe or stuck, by name. A model that
can no longer find a control has become blind, and the tests say so.

Rules of the models. A model is a set of states, the steps that lead from one to the next, the
violations of a state, and what it means to be settled. The scheduler is the adversary: any
possible step may come next, or never. Whatever was proven once may be shown again at any time.
*Stuck* is a state from which the steps that need nobody's good will (time, relays, anyone) never
reach a settled one.

    transfer     the cross-ledger commit: express, two-step, decline, expiry, replays, retention
    messages     holds and one-way messages; freshness of what a freeze must beat
    window       exactly once: expiry, eviction, snapshots
    signing      what a crash-only cluster may sign, over Raft logs and terms
    certificates what dishonest signers can do to two heights
    compaction   snapshots, compaction and joiners against certificates
    clocks       a leader whose clock is wrong

Example: `python -m tests.models` prints every variant, its states, its verdict and, for a control,
the shortest way to the harm.

Limits: one transfer (or message sequence, or height pair) at a time, small clocks, perfect
cryptography. What is unbounded is left to the simulation.
"""

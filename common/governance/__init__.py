"""Governance: the members of a chain's existing nodes vote on what the chain is governed by.

    types.py        proposals, ballots, and the states of a vote as one table
    subjects.py     what can be voted on: a closed set of parameters, and named contents
    operations.py   propose, vote, close; the same on both chains
    messages.py     what was decided on the other chain, applied here
    signing.py      how a member signs
    invariants.py   what must always hold, for the simulation and the audit

A member is an organisation that runs a node of the chain; it signs with the key the genesis names
for it, which is no user's of any party: no administrator can vote, and none can stop a vote. The
operations have no sender. Anybody may carry them, and a repeat is "already done".

Rules: passed by more than half of the set *as it was when the change was proposed*; one vote a
member, never changed; failed as soon as no majority is possible any more; expired, judged by
`common.deadline`, where nobody decided in time. The outcome is written once. What passed is in
force from a height that is fixed with it, the next block at the earliest (`common.ledger.versions`
keeps every version, so the past can be judged again): nobody has to do anything for it.

What both chains need is voted on the business books and travels as the message `parameter`; on the
asset chain it is in force from the block after the one that applies it.

    proposal = Proposal(PROPOSAL_VERSION, "parameter", "deadline_min_ms", 5_000, b"", ...)
    chain = Chain(..., rules={**governance_rules(GOVERNED), **OWN_RULES})
    parameter_in_force(context, "deadline_min_ms")
"""

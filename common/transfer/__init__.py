"""The cross-ledger commit: one outcome for two legs on two chains that never talk to each other.

    terms.py        what is agreed and hashed to the transfer's id before anything is locked
    machine.py      the states of a transfer on each chain, as one table; records are write-once
    operations.py   the rules: reserve, commit, expire, decline, settle; the same on both chains
    facts.py        what a follower publishes about its leg
    pots.py         where settled value waits whose account is closed or missing
    invariants.py   what must always hold, for the simulation and the audit

The port a contract fills in so that its values can take part is `common.ledger.chain.LegRules`.

Rules: a follower obeys a proof of the decider's record, never a preimage and never its own clock.
Deadlines are judged by the decider alone. Settling is total. A record is never deleted.

    chain = Chain(..., rules={**common_rules(credit), **OWN_RULES}, legs={"title-sale": LEG})
"""

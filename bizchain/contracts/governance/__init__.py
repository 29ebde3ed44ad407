"""Governance of the business books: parameters, the fee schedule, the policy of grades, scorecards
and templates by vote.

The rules are those of `common.governance`; this folder says what can be voted on here. Parameters
that both chains judge by, and the policy, are told to the asset chain when they are decided.

    row = in_force(state, "fee-schedule", "platform", height)
"""

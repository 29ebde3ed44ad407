"""Governance of the asset chain: its own parameters by vote, and those of both by message.

The rules are those of `common.governance`. How old news of holds may be (`freeze_lag_max_ms`) is
judged here alone, so it is voted here, by the members of this chain's nodes. What both chains judge
by is voted on the business books and arrives certified.
"""

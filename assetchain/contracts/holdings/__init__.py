"""Holdings: who owns how many units of which lot, and what encumbers them.

For each (owner, lot): total = free + on_order + pledged + reserved, integers >= 0 (what waits in a
claimable pot comes on top). Part of a holding can be encumbered; each encumbered unit is covered by
an encumbrance record with its kind, beneficiary, quantity and release rule, never by a flag.
"""

"""Splitting and merging receipts: what goods under receipts become other receipts of (flow X7).

    (none) --X7 settles--> TOKENISED          a child
    TOKENISED --split whole, merge--> SUPERSEDED   a parent; else it keeps its name and what remains

The books follow. A split carves up to 16 children out of one receipt; children and remainder are
the parent exactly. A merge makes one receipt of up to 16 that are alike: same goods, warehouse,
quality and place. The warehouse that keeps the goods consents here, the owner of the units on the
asset chain. Goods of which something is lost or reported so, or that a rule watches with an open
case, are neither split nor merged. What was made of what was made is at most eight deep; carving
from the same parent again makes nothing deeper.

Goods keep the day they came: what is made of them is stored since then, and merged goods since the
oldest of them came.

For every name behind a receipt it is counted, by owner, what of all that was made of it is there:
whoever judges a case of a parent owns none of it.

A valuation is shared by quantity, and never grows by it (`shared_valuations` names the rounding);
merged goods are worth the sum of what is still valid in one currency.

    leg = RecastLeg("alice", "warehouse", ("receipt-7",), (Part("receipt-7-1", "lot-7-1", 400),))
"""

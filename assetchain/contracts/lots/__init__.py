"""Lots: digital assets minted on warehouse receipts.

    (none) --X1 reserves--> PENDING --X1 settles--> ACTIVE
                            PENDING --X1 releases--> (none)
    ACTIVE --X6, or X7 of all that is left--> BURNED

A receipt's root has at most one live lot. What is minted is exactly what the business chain proves
of the reserved receipt: quantity, unit, goods and owner. The hashes of that receipt and of the
valuation it was approved by are kept by lot; what is split off has its parent's, what is merged
has none but those its lineage leads to.

Goods that the business chain confirms as lost are recorded on the root, by certified message; the
lot keeps its units, and whoever values them reads how much of the goods is worth nothing.
Valuations of the goods come by certified message too: the newest one is kept by receipt.
"""

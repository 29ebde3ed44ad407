"""Splitting and merging lots: what the units of lots become other lots of (flow X7).

    (none) --X7 reserves--> PENDING --X7 settles--> ACTIVE          a child
                            PENDING --X7 releases--> (none)
    ACTIVE --X7 takes all that is left--> BURNED                    a parent; else it keeps its name

A split carves children out of the owner's free units of one lot: children and remainder are the
parent exactly, and units of others, orders and pledges are not touched, so that no holder of the
rest can stand in the way. A merge makes one lot of several that one owner holds whole and free.
The asset chain decides; the books prove that the receipts agree and the warehouse that it does.

    leg = LotRecastLeg("alice", "warehouse", ("lot-7",), (Part("receipt-7-1", "lot-7-1", 400),))
"""

"""Warehouse receipts: goods taken in, reported by the warehouse, issued by the platform.

    DRAFT --issue--> ISSUED --X1 settles--> TOKENISED --release--> RELEASING --deliver--> DELIVERED
    DRAFT --reject--> REJECTED      ISSUED --cancel--> CANCELLED

A receipt that an open transfer reserves carries that transfer's id and refuses other moves; a
receipt that was ever tokenised keeps the id of the transfer that did it, and never is again.

Goods of a RELEASING receipt leave by two signatures: the warehouse offers them with a deadline, the
owner takes them. Nothing leads to RELEASING but the way out of the asset chain, which is not built.
"""

"""Warehouse receipts: goods taken in, reported by the warehouse, issued by the platform.

    DRAFT --issue--> ISSUED --X1 settles--> TOKENISED --release--> RELEASING --deliver--> DELIVERED
    DRAFT --reject--> REJECTED      ISSUED --cancel--> CANCELLED
    TOKENISED --split whole, merge--> SUPERSEDED

A receipt that an open transfer reserves carries that transfer's id and refuses other moves; a
receipt that was ever tokenised keeps the id of the transfer that did it, and never is again.

X1 tokenises a receipt by an approved application of its owner (contract `applications`), and tells
the asset chain the hashes of the receipt as issued and of the valuation it was approved by.

Goods of a RELEASING receipt leave by two signatures: the warehouse offers them with a deadline, the
owner takes them. Nothing leads to RELEASING but flow X6 (contract `exits`), which burns the lot;
nothing to SUPERSEDED but flow X7 (contract `lineage`), which makes other receipts of the goods. A
tokenised receipt that one of these has reserved refuses the other.
"""

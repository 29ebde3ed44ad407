"""Warehouse receipts: goods taken in, reported by the warehouse, issued by the platform.

    DRAFT --issue--> ISSUED --X1 settles--> TOKENISED
    DRAFT --reject--> REJECTED      ISSUED --cancel--> CANCELLED

A receipt that an open transfer reserves carries that transfer's id and refuses other moves; a
receipt that was ever tokenised keeps the id of the transfer that did it, and never is again.
"""

"""The business books: parties and roles, documents, warehouse receipts, double-entry cash.

`bizchain` is one value, a chain, that `common` runs as a node. It restrains what exists in the
world: a receipt that is tokenised here cannot be delivered, cash that is reserved here cannot be
spent, until the transfer that holds it ends. It knows nothing of `assetchain` but certified
headers.

Rules: one folder for each contract, with the same files in each; rules are judged at apply, the
same on every node; every debit has its credit.
"""

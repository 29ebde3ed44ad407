"""The circulation of digital assets: lots, holdings and their encumbrances, changes of owner.

`assetchain` is one value, a chain, that `common` runs as a node. It holds hashes of business
facts, never the documents, and learns of parties, holds and freezes by certified one-way messages
from `bizchain`, of which it knows nothing but certified headers.

Rules: one folder for each contract, with the same files in each; for each owner and lot,
quantities are integers whose parts add up to the total; a hold forbids new moves and never undoes
a decided one.
"""

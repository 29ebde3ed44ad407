"""The untrusted carrier between the two ledgers, and the one command line of the product.

The relay reads what is open on both chains, carries final, proven facts from each to the other,
and so brings every transfer to its one outcome. It can delay; it can never make a ledger wrong:
each chain verifies what it is given. Any number of relays may run, and losing one's journal loses
time.

Rules: deciding (`reconciler`, `inputs`, `effects`, `verifier`) is pure; the relay speaks to the
chains by gRPC alone. The command line may open both packages, for audit and for the local
network.
"""

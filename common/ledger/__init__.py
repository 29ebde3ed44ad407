"""The ledger of one chain: signed transactions in, certified and provable facts out.

    chain.py         what a chain is: one value of rules, handed to a node that knows no chain
    genesis.py       the document a chain begins with; its hash is the chain's id
    transaction.py   from bytes to a typed operation; compose.py is the way back
    block.py         blocks, headers, receipts, events
    transition.py    one block applied to the state, the same on every node
    state.py         typed tables over one key space, and how a header commits to each
    window.py        exactly once: results kept by block time
    ledger.py        applies blocks atomically, keeps what they made, proves it
    certificate.py   node sets, votes, certificates
    evidence.py      how anyone checks what a node shows
    lightclient.py   what one chain knows of the other; inbox.py and outbox.py carry messages
    identity.py      parties, users, roles; holds.py: what forbids new moves

Rules: all of it is a function of the log: no clock, no chance, no order that could differ between
nodes. A refused transaction leaves a receipt and nothing else. Values are integers. State, results
and the applied height move in one write. Nothing is final without a certificate.

    ledger = Ledger.open(CHAIN, genesis, store, verify)
    applied = ledger.apply(1, block, parsed)
    ledger.certify(certificate)
    value, proof = ledger.prove_state(ledger.final_height, key)
"""

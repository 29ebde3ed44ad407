"""The untrusted carrier between the two ledgers, and the one command line of the product.

The relay reads what is open on both chains, carries final, proven facts from each to the other,
and so brings every transfer to its one outcome. It can delay; it can never make a ledger wrong:
each chain verifies what it is given. Any number of relays may run, and losing one's journal loses
time.

    reconciler/      what to do next: pure; inputs.py and effects.py are its only door
    verifier.py      what is believed of a node's answer: pure
    ledgers.py       both chains over gRPC; watcher.py: their final blocks as they come
    journal.py       packages at rest, secrets sealed
    driver.py        runs a reconciler in an event loop
    service.py       RelayService; client.py is the other end
    dossier/         one file that proves how a transfer went
    agreement.py     what parties agree on and sign before anything is locked
    process.py       one relay process; main.py starts it, folder.py and settings.py say how
    metrics.py       what waits, and for how long; clock.py: a clock that never goes back
    cli/             the command line; audit/, case/ and devnet/ serve it

Rules: deciding (`reconciler`, `inputs`, `effects`, `verifier`) is pure; the relay speaks to the
chains by gRPC alone. The command line may open both packages, for audit and for the local
network.
"""

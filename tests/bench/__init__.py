"""How fast it is, on this machine, side by side with what people know: `python -m tests.bench`.

Everything is measured as it runs in production: four nodes a chain as processes of their own,
mutual TLS, every block on the disks of a quorum, every signature verified on every node, every
client checking receipts and certificates. Only the distance is missing: all of it is on loopback.

    payments        final transactions a second and latency, single and batched
    transfers       money against title across both ledgers, through the relay
    ledger          CPU of one transaction by stage, in one process
    growth          the same with 10 thousand, 100 thousand and 1 million accounts
    etcd            three nodes, puts of the same size
    postgresql      two servers, the same transfer by two-phase commit

    python -m tests.bench                        # under ten minutes
    FULL=1 python -m tests.bench                 # longer runs, more of them
    python -m tests.bench --only payments,etcd -o build/bench/today.json

A number is the median of its runs; the spread stands beside it, and how many cores were busy with
other things meanwhile. Judge a result by that last number first.
"""

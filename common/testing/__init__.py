"""A deterministic test kit: whole clusters of any chain in one process, under virtual time.

    world.py      virtual time, one source of chance, one trace
    network.py    delay, loss, duplication, reordering, one-way cuts
    cluster.py    the nodes of one chain on disks that crash to order, and what must always hold
    client.py     a client that follows the leader and retries the same bytes
    faults.py     crashes, partitions and noise, planned from the seed; then everything heals

Rules: everything that happens is an event of one `World`, and every choice comes from its seed, so
the same seed gives the same trace, byte for byte, under any PYTHONHASHSEED. The nodes, the ledger
and Raft are the real ones; only time, disks and the network are simulated. Several clusters and
whatever else runs beside them share one world and one network.

    world = World(seed=7)
    network = Network(world)
    cluster = Cluster(world, network, CHAIN, genesis, keys)
    cluster.start()
    Faults(world, network, [cluster]).plan(until_us=40_000_000, crashes=3, partitions=2)
    world.run_until(60_000_000)
    world.trace                       # hex digest of all that happened
"""

"""The node: one process of one chain, as a state machine without input and output.

Purpose
-------
`Node` is driven by calls: messages, ticks, submissions, and completions of writes and of signature
checks. Everything it wants done it asks of its `NodePorts`. The same node runs in a process
(asyncio, gRPC, LMDB) and in the deterministic simulation (virtual time, disks that crash to order).

    ports.py        what a node asks of the world; settings and limits; results     (pure)
    frames.py       what nodes say to each other; mailbox.py: one frame for each        (pure)
    writes.py       writes on their way to the disk, and what waits for them        (pure)
    office.py       what a node does while it leads                                 (pure)
    recovery.py     starting from what the disk has                                 (pure)
    clocks.py       whether this clock agrees with those of a quorum                (pure)
    pending.py      the blocks between the applied height and the end of the log    (pure)
    reads.py        reads that wait for the leader's proof and for finality         (pure)
    submission.py   the door: from submitted bytes to one result for each           (pure)
    finality.py     signatures, certificates, evidence, and catching up on them     (pure)
    ballots.py      where the own signatures go, and when to everybody              (pure)
    node.py         the Ready loop that joins Raft, ledger, door and finality       (pure)

    driver.py       the real world for one node: clock, disk, threads, peers
    settings.py     node.toml
    folder.py       the folder of a node process, made once by `format_node`
    facts.py        what a process knows of its node's disk and progress
    app.py          a chain and its query services, found by name
    process.py      a folder opened, a node driven, its services served
    main.py         the command line of a node process

The way of one transaction
--------------------------
submit -> parsed, its signature checked off the loop -> queued -> a block, when fewer than two are
in flight -> Raft: on the disks of a quorum -> applied: state, results and height move in one write
-> "I signed height h, hash x" is synced -> the vote leaves -> q votes make the certificate -> final
-> the answer. An answer of success means final.

Rules
-----
- Nothing leaves the node before what it depends on is synced: no vote before the signing record, no
  acknowledgement before the entry.
- A header is signed at most once for each height, for ever. One record covers every height up to
  its own, since a header commits to its parents. A node whose disk knows less than its own
  signatures in the hands of others stops; so after a restart it neither votes nor signs before
  enough peers have shown it what they hold of it.
- A block more than `clock_ahead_ms_max` ahead of this clock is not acknowledged. Once committed it
  is applied and signed without a look at any clock. A node whose own clock is off, seen from the
  median of a quorum's, goes by that median: one dishonest clock among them cannot move it.
- What was missed is asked for again by level, not by event: a node whose certificates lag behind
  its blocks asks its peers, however the messages were lost.
- Every waiter ends: with the final result, NOT_LEADER, BUSY, or OUTCOME_UNKNOWN.
- A broken invariant, a failed disk, or a certified header other than the own stops the node.

Example:
--------
    node = Node("bank-1", CHAIN, genesis, key, log, state, ports, verify=memo.verify)
    node.start()
    node.tick()                                     # every settings.tick_ms
    node.receive("core-1", frame)                   # from an authenticated peer
    node.submit([raw], lambda results: ...)         # once, when every transaction has a result
"""

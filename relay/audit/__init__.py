"""The audit: every rule that can be recomputed is recomputed, from the blocks of both chains alone.

Purpose: whoever holds the blocks (an operator its data folders, a user a connection) can find out
whether the two ledgers are what they claim to be, without trusting anything a node has computed.

    findings.py   what an audit found: the first violation, or what was judged and how much
    replay.py     one chain from genesis through the real ledger; header, certificate, invariants
    fees.py       what trades paid against the schedule, from the events alone
    pair.py       both chains together: outcomes agree, minted units have receipts behind them
    folders.py    the blocks of stopped nodes, with the log and state of each node compared
    remote.py     the blocks of running nodes, over gRPC

Rules: the replay uses the ledger every node runs, on an empty store in memory, so a header is
recomputed and never believed. Signatures are checked again, each once. The first violation ends
the audit and is named: invariant, chain, height, what was seen. Blocks that count and cannot be
read are a violation, too (`unread`): a clean audit has read what it speaks of. Nothing is repaired.

    wutong audit --data .wutong          # of stopped nodes, offline
    wutong audit                         # of the running network
"""

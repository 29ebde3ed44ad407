"""Raft: a few nodes agree on one log of blocks, although some of them crash.

This package is the algorithm and nothing else. It sends nothing, writes nothing, knows no clock
and draws no random number: it is told what happened and says what to do. The same inputs give the
same outputs, so the simulation runs the code that the network runs. It follows the Raft paper
(Ongaro and Ousterhout, extended version, 2014) and, for pre-vote, leader transfer and ReadIndex,
Ongaro's thesis; `tests/paper` holds the paper's sentences against it, `tests/scenarios/raft`
tells what it does as transcripts.

What is promised, with any messages lost, repeated, late or out of order, and any nodes crashing:

- at most one node leads a term; a node votes once in a term, for ever
- what is committed stays, at its index, on all nodes; it is on the disks of a quorum
- a read index covers all that was committed anywhere when the read was asked for

With a quorum up and links that mostly work, it also goes on. Liars are out of its scope: a lying
node can stop others (they refuse to break a promise) or delay them; what it cannot do to the
ledger is the business of signatures and certificates, above this package.


Driving a node
==============

`Raft` has four inputs: `tick()` as time passes, `step(message)` for what arrives, `propose(data)`
and `read_index(token)` for what clients want, and `persisted(receipt)` when the disk is done.
After any of them the driver calls `ready()` until it gives None, and does what each `Ready` says:

1. Send `messages`. They may leave at once, before anything is written; a leader's entries travel
   to the others while its own disk still writes them.
2. Where `receipt` is not None, queue the write of `hard_state` and `entries` (together, in the
   order of the Readies, synced; entries replace all that is stored from `entries[0].index` on).
   When the disk has it, send `messages_after_persist`, then call `persisted(receipt)`. The write
   may be done by another thread, and further Readies may be taken meanwhile. A Ready without
   anything to write still waits its turn in the queue. If a write fails the process stops;
   nothing is retried.
3. Apply `committed`, in order. They are on this node's own disk already.
4. Answer `reads`: a `ReadState` from any state that has applied its index.

Here is a whole driver, for disks that are done at once:

>>> from common.raft.core import Raft, RaftConfig
>>> from common.raft.messages import HardState
>>> from common.raft.storage import MemoryLog
>>> def work(raft, disk, send, applied):
...     while (ready := raft.ready()) is not None:
...         for message in ready.messages:
...             send(message)
...         if ready.receipt is not None:
...             disk.write(ready.entries)  # with ready.hard_state, in one synced transaction
...             for message in ready.messages_after_persist:
...                 send(message)
...             raft.persisted(ready.receipt)
...         for entry in ready.committed:
...             applied.append(entry.data)
...         for read in ready.reads:
...             print(read)

and a cluster of three that lives in one list of messages:

>>> names, network = ("a", "b", "c"), []
>>> disks = {name: MemoryLog() for name in names}
>>> applied = {name: [] for name in names}
>>> cluster = {
...     name: Raft(
...         RaftConfig(node_id=name, voters=names),
...         HardState(term=0, vote=""),
...         disks[name],
...         random_ticks=lambda low, high: high,
...         noop=lambda: b"empty block",
...     )
...     for name in names
... }
>>> def settle():
...     for name in names:
...         work(cluster[name], disks[name], network.append, applied[name])
...     while network:
...         message = network.pop(0)
...         cluster[message.receiver].step(message)
...         name = message.receiver
...         work(cluster[name], disks[name], network.append, applied[name])
>>> for _ in range(20):  # "a" hears no leader for the longest timeout
...     cluster["a"].tick()
>>> settle()
>>> cluster["a"].propose(b"first block")
(1, 2)
>>> settle()
>>> applied["c"]
[b'empty block', b'first block']
>>> cluster["a"].read_index(token=7)
>>> settle()
ReadState(token=7, index=2)

`propose` gives the (term, index) of the new entry. The entry is committed when `committed` shows
that very pair. If it shows another term at that index, or the node leads no more, the outcome is
not known here: the entry may still be committed by a later leader. That is why transactions carry
ids, and are asked for by id.

After a restart a node is made from what its disk has: the hard state, the log, and as
`applied_index` how far the state was applied. It does not remember the commit index: it learns it
from the leader. The driver calls `forbid_truncation` again for the highest height it has signed.

A driver may give `step` an `Append` with fewer entries than it came with (it judges the time of a
block before it is acknowledged): the rest comes again with the next heartbeat.


How it works
============

*Elections.* A follower that hears no leader for `election_ticks_min` to `election_ticks_max`
ticks first asks whether it could win (pre-vote), which changes nobody's term, and only then
stands. Who hears a leader answers neither question, so a node with a bad link disturbs nobody; a
leader that hears no quorum for `election_ticks_min` steps down, so a leader with a bad link
blocks nobody.

*Terms and votes* are one record, `HardState`. Nothing that shows a term or promises a vote leaves
before that record is on the disk (`outbox.py`).

*What the disk has* is derived from the writes asked for and the writes done (`durability.py`),
never from a message. A leader, too, counts its own entries only from its disk.

*Replication.* All that a leader knows of its followers lives in a `Leadership` and ends with it.
A follower is probed until the place is known where the logs part, then entries are streamed to
it, up to `inflight_entries_max` ahead of its disk. Each proposal and each heartbeat is an
`Append`; several proposals between two calls of `ready` travel in one. A lost message shows in
the next heartbeat, which does not fit the follower's log; the refusal carries a hint that skips
whole terms.

*Commit.* An entry is committed when a majority has it on disk and it is of the leader's own term;
all before it are then committed too. A new leader therefore begins with an empty block, made by
`noop`. Nothing else is ever put into the log by Raft. The first `commit_news_max` followers to have
an entry on disk are told of its commit at once, the others with what they are sent next, or when
the driver calls `announce_commit`.

*Reads.* Every Append has a round, a number never used twice in a term. A read takes the commit
index and is answered when a quorum has answered a later round: then no other leader can have
committed more before the read began. Until the empty block is committed, reads wait. No clock is
trusted.

*Hand-over.* A leader stops taking proposals and reads, waits until the target has all entries on
disk, and tells it to stand at once; after `election_ticks_max` ticks without success it goes on.

*What cannot happen* raises `InvariantBroken`, and the process stops: two leaders in a term, a
leader without a committed entry, a replaced entry that was committed, signed or certified, a disk
that contradicts itself.

*Later.* Snapshots and changes of the set of voters are not here yet. Message kinds and fields are
only appended, `LogReader` already tells compacted entries from missing ones, and a follower that
needs compacted entries is kept quiet by heartbeats.


The messages
============

==============  ==================================  ======================================
message         from, to                            effect
==============  ==================================  ======================================
PreVote         pre-candidate, all                  none; asks "would you vote for me?"
PreVoteReply    voter, pre-candidate                a majority of yes: it stands
Vote            candidate, all                      a vote, where log and term allow it
VoteReply       voter, candidate                    a majority of yes: it leads
Append          leader, one follower                entries, commit index, heartbeat, round
AppendReply     follower, leader                    how far the follower's disk agrees
TimeoutNow      leader, one follower                the follower stands at once
==============  ==================================  ======================================

A message of a higher term makes its receiver a follower of that term (but for PreVote, and for a
Vote while a leader is heard). A request of a lower term is answered with the term; a reply of a
lower term is dropped.


The modules
===========

`core` the state machine · `roles` what a node can be · `following` how a follower takes entries ·
`leadership` what a leader knows and does · `progress` what it knows of one follower · `reads`
ReadIndex · `log` the log in memory and on disk · `storage` the port to the disk · `durability`
what the disk has · `outbox` what may leave when · `ready` the work to do · `messages` the formats
· `admission` what a message must be · `config` the settings · `quorum` the counting.
"""

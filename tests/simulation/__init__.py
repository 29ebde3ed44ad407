"""The whole system in one process under virtual time: both chains, relays, clients, and liars.

    founding.py    the consortium every world begins with
    market.py      clients: trades of every kind, listings, payments, holds, closed accounts
    yard.py        what owners do besides: lots split and merged, goods taken out
    bargaining.py  how what they agree on is handed over, declined, left, brought on by hand
    deal.py        one transfer of theirs
    relays.py      relays: the real reconciler, verifier and journal
    service.py     what a node answers; remote.py, submitter.py: who asks, over the network
    disasters.py   crashes anywhere, partitions, noise, lost journals, clocks gone wrong
    liars.py       a relay that forges, repeats and leaks; a node that says what is not so
    places.py      the nodes, under observation
    oracle.py      what must hold, whatever happens
    seed.py        one world, from its seed to its end

A world is one minute of disasters and then a healed time in which every transfer ends. The nodes,
Raft, ledgers, contracts, reconcilers and all signatures are the real ones; time, disks and the
network are simulated (`common.testing`). What the oracle holds against them:

- no two nodes compute a different header at a height; certified blocks are the same everywhere;
- after every block the invariants of its chain hold, and I1 across both chains; a decision is
  written once, by the decider's time; what is held begins nothing; messages overtake no proof;
- nothing leaves a node before its disk has what it depends on; one vote a term, one leader a term,
  one signature a height, across all restarts;
- what was acknowledged was final and stays; one request has one effect; each client gets an answer;
- a relay writes before it sends, and sends a secret to the decider only, and in time;
- every transfer ends within its stated bound, however many relays lie (I4).

In some worlds a relay lies; in some a node does. Relays have no power at all; with a node that lies
in more than its answers only safety is claimed, and judged.

    python -m tests.simulation --seed 7                  # one world; its story, if it fails
    python -m tests.simulation --seeds 0:5000 --jobs 2   # many worlds, and what happened in them

The same seed is the same world, byte for byte, under any PYTHONHASHSEED. A change of the product
changes the worlds of all seeds: what a world has found stays found by a test of its own, and by
`tests/mutants`.
"""

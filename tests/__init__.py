"""The tests: each states one sentence of what holds; no sleeps, no mocks of our own parts.

- `unit`: one module at a time; `properties`: what holds for all inputs
- `scenarios`: golden transcripts; `paper`: sentences of the Raft paper
- `models`: the protocol, explored state by state
- `simulation`: both clusters and their relays under virtual time, one seed a world
- `integration` and `e2e`: real files, sockets and processes
"""

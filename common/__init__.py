"""The node of a ledger. It knows no chain: a chain is one value that is handed to it.

What decides is pure (values in, values out) and lives in `amount`, `encoding`, `deadline`,
`errors`, `crypto`, `raft`, `ledger` and `transfer`; what touches a disk, a socket, a clock or
chance lives in `storage`, `rpc`, `node` and `telemetry`, behind ports. So the same code runs as a
process and, many nodes at once, inside a deterministic simulation.

Rules: nothing here imports `bizchain`, `assetchain` or `relay`. Value is integers, hashes are
bytes. Everything hashed, signed or stored has one encoding. An expected refusal is a numbered
reason; a broken invariant stops the process.

    from common.encoding import decode, encode
    from common.deadline import expired
"""

"""gRPC: how nodes, clients and relays speak, and the only place that knows how.

Purpose
-------
A node offers its services to callers of its network over mutual TLS; a client asks several nodes
and believes none of them, but the proofs they show.

    status.py           reasons as gRPC statuses, and back: one table
    callers.py          who calls: the identity in the certificate of a connection
    access.py           what the caller may see: one judge for every service
    limits.py           token buckets and counters of calls, for each caller
    guard.py            default deny, deadlines, limits and errors around every handler
    server.py           the server: TLS, guard, health, reflection
    peers.py            frames between the nodes of one chain: streams out, streams in

    proofs.py           headers, certificates and paths of final blocks, as messages
    finals.py           waiting for heights to be final
    submissions.py      from submitted bytes to results with proofs
    reads.py            proven reads for the query services of contracts
    ledger_views.py     what waits: open transfers, the outbox, the other chain
    ledger_service.py   LedgerService: submit, read, watch

    channels.py         connections of a client to the nodes of one chain
    verifier.py         what a client believes: certified headers, never two at a height
    sightings.py        transfers and messages as a node shows them, judged
    asker.py            asking one node after another until an answer stands
    submitter.py        one stream of batches to the leader, followed and resumed
    watch.py            final blocks across nodes, without a gap and without trust
    client.py           the client that signs, follows the leader, retries and verifies
    typed.py            what the typed clients of the chains share

Rules
-----
- Nobody without a certificate of the network gets a connection; no method is open to a kind of
  caller that the guard does not name.
- A refusal is a `Refused` on both sides: its gRPC status carries exactly one `ErrorInfo`, whose
  reason is the reason's name and whose domain is the chain's.
- Every message, stream, queue, page and wait has a limit, and a constant that names it.
- What is signed or hashed travels as the canonical bytes themselves.

Example:
--------
    async with LedgerClient(network, "bizchain", credential, author=Author("acme", key)) as client:
        result = await client.submit(operation)                # final, and proven
        account = await client.get(CASH, CASH.key("acme", "EUR"))
"""

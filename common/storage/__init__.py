r"""The disk of a node: a log that is never lost, and a state that can always be made again.

Purpose
-------
A node keeps two LMDB environments in one folder. `log/` holds what the node has promised: its vote,
its log entries, the headers it has signed. It is written in synced transactions, and nothing that
depends on a write leaves the node before that write has returned. `state/` holds what follows from
the log: tables, tree rows, blocks, results, the applied height. It is written without sync, because
it is a function of the log; where a crash of the operating system may have torn it, it says so
(`suspect`) and is made again.

    ports.py         what a node needs of a disk: `LogStore`, `StateStore`                    (pure)
    outline.py       the shape of the log in memory, and the rules every write of it keeps    (pure)
    keys.py          the keys of state rows, and the range of a scan                          (pure)
    later.py         rows that wait for the next write of the state                           (pure)
    records.py       the checksum that binds each record to its key                           (pure)
    memory.py        the in-memory twins, with crashes to order, for the simulation           (pure)
    files.py         small files beside the environments: sealed, written whole or not at all
    environment.py   one LMDB environment of sealed rows: checked before use, gated, grown
    folder.py        the node folder: format, identity, exclusive lock, clean or unclean close
    log_store.py     `LogStore` on LMDB
    state_store.py   `StateStore` on LMDB

Rules
-----
- Corrupt is not absent. Every record carries a checksum bound to its key, and is checked each time
  it is read. Damage raises `StorageFailed`, which stops the process.
- A failed write is final: the store refuses every later call. The process is started again,
  verifies what it has, and joins anew. Nothing is retried in place.
- One process holds a folder. Only `format_folder` makes one; an empty folder is never started on.
- No transaction outlives a call, so none is open across an `await`.
- The log is written by one thread and may be read by another meanwhile.

Example:
--------
    identity = FolderIdentity(chain_id=bytes(32), node_id="bank-1")
    format_folder(path, identity)
    with open_folder(path, identity) as folder:
        log = folder.open_log()
        image = log.recover()
        log.write([LogWrite(hard_state=HardState(1, "bank-1"))])   # on the disk when it returns
        state = folder.open_state()
        if state.suspect:
            state.discard()                                        # and replay the log from genesis
        state.write([(b"applied", b"\x00")])
"""

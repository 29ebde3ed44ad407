"""Starting from what the disk has: the ledger, brought up to what this node has signed.

What a node signed was committed, so it is applied again from the log without asking anybody; what
lies above waits until a leader says that it is committed. A state that a crash may have torn is
discarded and made again from the genesis.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from common.crypto.signing import Verify
from common.errors import InvariantBroken
from common.ledger import transition
from common.ledger.chain import Chain
from common.ledger.genesis import Genesis
from common.ledger.ledger import Ledger
from common.node.pending import read_entry
from common.raft.messages import Entry
from common.storage.ports import LogImage, LogStore, StateStore

__all__ = ["Recovered", "entries_between", "recover"]

READ_BYTES_MAX = 4 * 1024 * 1024


class Recovered(NamedTuple):
    """What a node starts from. `rebuilt`: the state had to be made again from the log."""

    image: LogImage
    ledger: Ledger
    rebuilt: bool


def recover(
    chain: Chain, genesis: Genesis, log: LogStore, state: StateStore, verify: Verify
) -> Recovered:
    """Open log and state. Raises `StorageFailed`, or `InvariantBroken` where they contradict."""
    image = log.recover()
    rebuilt = state.suspect
    if rebuilt:
        state.discard()
    ledger = Ledger.open(chain, genesis, state, verify)
    if ledger.applied_height > image.last_index:
        raise InvariantBroken(
            f"height {ledger.applied_height} is applied, but the log ends at {image.last_index}"
        )
    record = image.signing
    if record is not None and record.history == ledger.header.history:
        for entry in entries_between(log, ledger.applied_height, record.height):
            block = read_entry(entry, ledger.header.time_unix_ms)
            ledger.apply(entry.index, block, transition.parse_all(chain, block))
        if ledger.hash_at(record.height) != record.header_hash:
            raise InvariantBroken(f"height {record.height} was signed with another header")
    return Recovered(image, ledger, rebuilt)


def entries_between(log: LogStore, after: int, last: int) -> Iterator[Entry]:
    """The entries from `after + 1` to `last`, read in pieces."""
    index = after + 1
    while index <= last:
        for entry in log.entries(index, last + 1, READ_BYTES_MAX):
            yield entry
            index += 1

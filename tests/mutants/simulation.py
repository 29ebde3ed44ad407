"""Ways to break the product that the simulation must notice, and where it does.

Each mutant is a change of a few lines, as a careless hand might make it. `SEEDS` names a world that
finds it out, and what the finding says.

    python -m tests.mutants.simulation              # look for worlds again, after a change
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest

from assetchain.contracts.holdings import operations as holdings
from assetchain.contracts.holdings.keys import ENCUMBRANCE
from assetchain.contracts.lots import operations as lots
from assetchain.contracts.lots import queries as lot_queries
from bizchain.contracts.cash import operations as cash
from bizchain.contracts.receipts import operations as receipts
from common.crypto import merkle
from common.ledger import lightclient, window
from common.ledger.block import header_hash
from common.node import node, recovery
from common.node.finality import Finality
from common.node.pending import PendingBlocks
from common.node.writes import LogWrites
from common.raft.config import RaftConfig
from common.rpc import verifier
from common.storage.memory import MemoryStateStore
from common.storage.ports import LogWrite
from common.transfer import operations
from common.transfer.machine import Action as Decision
from common.transfer.machine import TransferState
from relay.effects import Effect, Persist
from relay.reconciler import batches, core, transfers
from relay.reconciler.lanes import Lane
from relay.reconciler.operations import operation_of
from relay.reconciler.transfers import Action, Judgement, Stage, Step
from tests.simulation.seed import SeedFailed, simulate

__all__ = ["MUTANTS", "SEEDS"]

Patch = pytest.MonkeyPatch


def _nothing(*_: object, **__: object) -> None:
    """What was a rule."""


def acknowledge_before_the_disk(patch: Patch) -> None:
    """Entries and votes leave before they are synced."""

    def ask(self: LogWrites, write: LogWrite, done: Callable[[], None]) -> None:
        self._ports.write_log(write, _nothing)
        done()

    patch.setattr(LogWrites, "ask", ask)


def sign_before_the_record(patch: Patch) -> None:
    """A signature leaves before its record is synced."""
    ask = LogWrites.ask

    def ask_or_not(self: LogWrites, write: LogWrite, done: Callable[[], None]) -> None:
        if write.signing is None:
            ask(self, write, done)
        else:
            ask(self, write, _nothing)
            done()

    patch.setattr(LogWrites, "ask", ask_or_not)


def vote_without_a_record(patch: Patch) -> None:
    """Term and vote are not written."""

    def write(**parts: Any) -> LogWrite:
        return LogWrite(**parts | {"hard_state": None})

    patch.setattr(node, "LogWrite", write)


def decide_by_half(patch: Patch) -> None:
    """Two of four nodes are a quorum of Raft."""
    patch.setattr(RaftConfig, "quorum", property(lambda _: 2))


def sign_again_after_a_restart(patch: Patch) -> None:
    """What was signed before the crash is not asked for, and nothing is kept of it."""
    patch.setattr(Finality, "wait_for_peers", _nothing)
    recover = recovery.recover

    def forgetful(*args: Any) -> Any:
        found = recover(*args)
        return found._replace(image=msgspec.structs.replace(found.image, signing=None))

    patch.setattr("common.node.node.recover", forgetful)


def believe_a_torn_state(patch: Patch) -> None:
    """The state store does not notice that the machine went down."""
    crash = MemoryStateStore.crash_system

    def unnoticed(self: MemoryStateStore, *, kept: int = 0, torn: bool = False) -> None:
        crash(self, kept=kept, torn=torn)
        self._suspect = False

    patch.setattr(MemoryStateStore, "crash_system", unnoticed)


def take_blocks_of_the_future(patch: Patch) -> None:
    """A follower acknowledges whatever time the leader stamps."""
    judge = PendingBlocks.judge
    patch.setattr(
        PendingBlocks, "judge", lambda self, append, latest: judge(self, append, latest + 60_000)
    )


def drop_the_window(patch: Patch) -> None:
    """A repeat is not recognised."""
    patch.setattr(window, "recorded", _nothing)


def believe_any_path(patch: Patch) -> None:
    """Proofs are not verified."""
    patch.setattr(merkle, "verify_inclusion", _nothing)


def believe_any_certificate(patch: Patch) -> None:
    """Headers are imported whoever signed them."""
    patch.setattr(lightclient, "check_certificate", lambda header, *_: header_hash(header))


def overtake_messages(patch: Patch) -> None:
    """A proof counts before the messages sent until then were applied, and relays bring none."""
    patch.setattr(Lane, "due_messages", lambda *_: [])
    patch.setattr(Lane, "covers", lambda *_: True)
    patch.setattr(lightclient, "proven_event", lightclient.proven_message)


def begin_with_what_is_held(patch: Patch) -> None:
    """Holds are recorded and nobody asks for them."""
    for module in (holdings, lots, lot_queries, cash, receipts):
        patch.setattr(module, "check_free", _nothing)


def commit_after_the_deadline(patch: Patch) -> None:
    """The decider takes a secret for ever."""
    patch.setattr(operations, "check_not_expired", _nothing)


def expire_before_the_deadline(patch: Patch) -> None:
    """Anyone may end a transfer that still has time."""
    patch.setattr(operations, "expired", lambda _now, _deadline: True)


def commit_without_the_secret(patch: Patch) -> None:
    """Any bytes open the lock."""
    patch.setattr(operations, "opens_lock", lambda _secret, _lock: True)


def decide_again(patch: Patch) -> None:
    """A record may be written over."""

    def reached(_role: str, _row: object, action: Decision) -> TransferState:
        named = action.name.removeprefix("RESERVE_AND_")
        return {
            "RESERVE": TransferState.RESERVED,
            "COMMIT": TransferState.COMMITTED,
            "SETTLE_COMMIT": TransferState.SETTLED,
            "SETTLE_ABORT": TransferState.RELEASED,
        }.get(named, TransferState.ABORTED)

    patch.setattr(operations, "reached", reached)


def keep_the_escrow(patch: Patch) -> None:
    """Units are handed on and stay in escrow as well."""

    def release(context: Any, transfer_id: bytes, owner: str, lot_id: str, _: int) -> None:
        context.state.delete(ENCUMBRANCE, ENCUMBRANCE.key(owner, lot_id, transfer_id.hex()))

    patch.setattr(holdings, "release_units", release)


def believe_a_node(patch: Patch) -> None:
    """A client takes a node's word for an outcome."""

    def outcome(self: Any, result: Any, _block: Any, transaction_id: bytes) -> verifier.Outcome:
        position = result.receipt.leaf_index
        return verifier.Outcome(
            transaction_id, result.code, result.message, result.height, position
        )

    patch.setattr(verifier.Verifier, "outcome", outcome)


def believe_a_door(patch: Patch) -> None:
    """A client takes one node's refusal for the end of it."""
    patch.setattr(verifier.Verifier, "believed_count", property(lambda _: 1))


def send_before_the_journal(patch: Patch) -> None:
    """A relay sends first and writes down afterwards."""
    advance = core.Reconciler.advance

    def hasty(self: core.Reconciler, *args: Any) -> list[Effect]:
        effects = advance(self, *args)
        return sorted(effects, key=lambda effect: isinstance(effect, Persist))

    patch.setattr(core.Reconciler, "advance", hasty)


def tell_the_follower(patch: Patch) -> None:
    """A relay sends the secret to the wrong chain."""
    decide = transfers._decide

    def astray(transfer: Any, reserved: Any, package: Any) -> Judgement:
        judgement = decide(transfer, reserved, package)
        step = judgement.step
        if step is None or step.action is not Action.RESERVE_AND_COMMIT:
            return judgement
        return judgement._replace(step=Step(step.action, transfer.follower_chain, step.proof))

    patch.setattr(transfers, "_decide", astray)


def reveal_late(patch: Patch) -> None:
    """A relay sends the secret until the last moment, and after it."""
    patch.setattr(transfers, "_is_guarded", lambda *_: False)
    patch.setattr(
        batches, "operation_of", lambda *args: operation_of(*args)._replace(not_after_unix_ms=0)
    )


def let_it_lie(patch: Patch) -> None:
    """A relay lets expired transfers lie."""
    patch.setattr(transfers, "_late", lambda *_: Judgement(Stage.EXPIRY))


def lapse_unasked(patch: Patch) -> None:
    """A relay takes what it has not seen for what no chain has met."""
    late = transfers._late

    def hasty(transfer: Any, policy: Any) -> Judgement:
        nothing_seen = transfer.follower is None and transfer.decider is None
        return Judgement(Stage.ENDED) if nothing_seen else late(transfer, policy)

    patch.setattr(transfers, "_late", hasty)


def carry_no_messages(patch: Patch) -> None:
    """A relay brings proofs and forgets the messages."""
    patch.setattr(Lane, "due_messages", lambda *_: [])


MUTANTS: Mapping[str, Callable[[Patch], None]] = {
    mutant.__name__: mutant
    for mutant in (
        acknowledge_before_the_disk,
        sign_before_the_record,
        vote_without_a_record,
        decide_by_half,
        sign_again_after_a_restart,
        believe_a_torn_state,
        take_blocks_of_the_future,
        drop_the_window,
        believe_any_path,
        believe_any_certificate,
        overtake_messages,
        begin_with_what_is_held,
        commit_after_the_deadline,
        expire_before_the_deadline,
        commit_without_the_secret,
        decide_again,
        keep_the_escrow,
        believe_a_node,
        believe_a_door,
        send_before_the_journal,
        tell_the_follower,
        reveal_late,
        let_it_lie,
        lapse_unasked,
        carry_no_messages,
    )
}

SEEDS: Mapping[str, tuple[int, str]] = {
    "acknowledge_before_the_disk": (0, "before its disk has it"),
    "sign_before_the_record": (0, "before the record is on the disk"),
    "vote_without_a_record": (0, "before its disk has it"),
    "decide_by_half": (0, "computes another header|all is final"),
    "sign_again_after_a_restart": (0, "a peer shows a signature of this node"),
    "believe_a_torn_state": (41, "stopped|computes another header"),
    "take_blocks_of_the_future": (35, "ms ahead"),
    "drop_the_window": (0, "two outcomes|twice"),
    "believe_any_path": (3, "I1: transfer|without its secret"),
    "believe_any_certificate": (0, "has not ended in time"),
    "overtake_messages": (0, "runs ahead of message"),
    "begin_with_what_is_held": (0, "which is held"),
    "commit_after_the_deadline": (2, "COMMITTED, late is True"),
    "expire_before_the_deadline": (1, "ABORTED, late is False"),
    "commit_without_the_secret": (0, "COMMITTED without its secret"),
    "decide_again": (70, "stopped|goes from"),
    "keep_the_escrow": (0, "units are conserved"),
    "believe_a_node": (0, "acknowledged and is lost|two outcomes"),
    "believe_a_door": (8, "said to be refused"),
    "send_before_the_journal": (0, "before its journal has the package"),
    "tell_the_follower": (0, "sends a secret to the follower"),
    "reveal_late": (0, "too near the deadline"),
    "let_it_lie": (0, "has not ended in time"),
    "lapse_unasked": (40, "lapsed, and it is committed"),
    "carry_no_messages": (0, "has not ended in time"),
}
"""By mutant: a world that finds it out, and a pattern of the finding."""


def find(name: str, first: int = 0, worlds_max: int = 60) -> tuple[int, str] | None:
    """The first world from `first` on that finds a mutant out, and what it says of it."""
    with pytest.MonkeyPatch.context() as patch:
        MUTANTS[name](patch)
        for seed in range(first, first + worlds_max):
            try:
                simulate(seed)
            except SeedFailed as failed:
                return seed, str(failed).splitlines()[0]
    return None


if __name__ == "__main__":
    for chosen in sys.argv[1:] or MUTANTS:
        print(f"{chosen}: {find(chosen)}", flush=True)

"""Ways to break the rules of the ledgers, as changes of their text, and the tests that notice.

Each mutant is made in a copy of the tree, where the tests of the rules are run until one is red.

    python -m tests.mutants.ledgers                    # every mutant against the tests named here
    python -m tests.mutants.ledgers --machine          # against the state machine instead
    python -m tests.mutants.ledgers skip_consents ...  # only these
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
CONTRACTS = "tests/unit/contracts"
MACHINE = "tests/properties/test_ledgers.py"
COPIED = ("assetchain", "bizchain", "common", "relay", "tests", "pyproject.toml")
TIMEOUT_SECONDS = 600


class Mutant(NamedTuple):
    """`old`, which stands in `file` once, becomes `new`."""

    file: str
    old: str
    new: str


CHECKS = "common/transfer/checks.py"
OPERATIONS = "common/transfer/operations.py"
CLIENT = "common/ledger/lightclient.py"
CASH = "bizchain/contracts/cash/operations.py"
RECEIPTS = "bizchain/contracts/receipts/operations.py"
LOTS = "assetchain/contracts/lots/operations.py"
HOLDINGS = "assetchain/contracts/holdings/operations.py"

WRONG_SECRET = (
    'raise Refused(TransferReason.SECRET_MISMATCH, "the secret does not open the hash lock")'
)

MUTANTS = {
    "expire_after_the_deadline": Mutant(
        "common/deadline.py", "now_unix_ms >= deadline", "now_unix_ms > deadline"
    ),
    "skip_consents": Mutant(
        CHECKS, "    _check_consents(context, transfer_id, owners, consents)\n", ""
    ),
    "believe_any_signature": Mutant(
        CHECKS, "if not context.verify(claim.public_key, message, claim.signature):", "if False:"
    ),
    "skip_the_hash_lock": Mutant(CHECKS, "if used is not None:", "if False:"),
    "skip_the_leg_hash": Mutant(
        CHECKS, "if leg_hash(opening.leg, opening.salt) != own_hash:", "if False:"
    ),
    "skip_holds": Mutant(CHECKS, "    rules.check_unheld(context, leg)\n", ""),
    "skip_freshness": Mutant(CHECKS, "    lightclient.check_fresh(context)\n", ""),
    "skip_the_reservations_id": Mutant(
        CHECKS, "named = (theirs.transfer_id, ", "named = (transfer_id, "
    ),
    "expire_without_a_right": Mutant(
        CHECKS, "if operation.party.party != terms.secret_holder:", "if False:"
    ),
    "take_any_deadline": Mutant(
        CHECKS, "if ahead > greatest:", "if False:"
    ),
    "commit_what_is_held": Mutant(OPERATIONS, "    rules.check_unheld(context, leg)\n", ""),
    "commit_late": Mutant(
        OPERATIONS,
        "    check_not_expired(context, terms)\n"
        "    if not opens_lock(operation.secret, terms.hash_lock):\n"
        f"        {WRONG_SECRET}\n"
        "    leg,",
        "    if not opens_lock(operation.secret, terms.hash_lock):\n"
        f"        {WRONG_SECRET}\n"
        "    leg,",
    ),
    "settle_on_another_record": Mutant(
        OPERATIONS, "theirs.transfer_id != operation.transfer_id\n        or ", "False or "
    ),
    "settle_on_a_reservation": Mutant(OPERATIONS, "or outcome is Outcome.NONE\n", "or False\n"),
    "settle_twice": Mutant(
        OPERATIONS,
        "    if row is not None and row.record.state != TransferState.RESERVED:\n"
        "        return None\n",
        "",
    ),
    "release_what_is_committed": Mutant(
        OPERATIONS, "settled=step.action is Action.SETTLE_COMMIT", "settled=False"
    ),
    "decline_for_anyone": Mutant(
        OPERATIONS,
        "if party != terms.secret_holder and party not in leg_owners("
        "context, terms, row, operation):",
        "if False:",
    ),
    "keep_no_tombstone": Mutant(
        OPERATIONS, "    write(context.state, row, action)\n", "    if row.leg:\n        write("
        "context.state, row, action)\n",
    ),
    "forget_the_hash_lock": Mutant(
        OPERATIONS, "        context.state.put(HASH_LOCK, key, HashLockUse(transfer_id))\n",
        "        _ = key\n",
    ),
    "any_secret_opens": Mutant(
        "common/transfer/terms.py",
        "len(secret) == SECRET_BYTES and sha256(secret) == hash_lock", "bool(secret or hash_lock)",
    ),
    "two_outcomes": Mutant(
        "common/transfer/machine.py",
        "    (Role.DECIDER, _S.NONE, _A.DECLINE): _S.ABORTED,\n",
        "    (Role.DECIDER, _S.NONE, _A.DECLINE): _S.ABORTED,\n"
        "    (Role.DECIDER, _S.COMMITTED, _A.DECLINE): _S.ABORTED,\n",
    ),
    "drop_the_pot": Mutant(
        "common/transfer/pots.py",
        "    context.state.put(POT, key, Pot(party, asset, waiting))\n", "    _ = waiting\n",
    ),
    "claim_while_held": Mutant(
        "common/transfer/pots.py", '    check_free(context.state, "party", context.sender)\n', ""
    ),
    "claim_twice": Mutant(
        "common/transfer/pots.py", "        context.state.delete(POT, key)\n", "        _ = key\n"
    ),
    "claim_anothers_pot": Mutant(
        "common/transfer/pots.py",
        "operation.transfer_id.hex(), context.sender))\n"
        "    pots = [(key, pot) for key, pot in rows if pot.party == context.sender]",
        "operation.transfer_id.hex()))\n    pots = rows",
    ),
    "overtake_messages": Mutant(
        CLIENT, "if outbox.counters(context.state).inbox_last < header.outbox_last:", "if False:"
    ),
    "never_stale": Mutant(
        CLIENT, "    if not context.chain.obeys_holds_of_peer:\n        return\n", "    return\n"
    ),
    "fresh_without_messages": Mutant(
        CLIENT, "header.time_unix_ms if applied >= header.outbox_last else 0", "header.time_unix_ms"
    ),
    "count_a_signature_twice": Mutant(
        "common/ledger/certificate.py",
        "            signature.node_id\n            for",
        "            id(signature)\n            for",
    ),
    "apply_messages_with_gaps": Mutant(
        "common/ledger/inbox.py", "if message.number > expected:", "if False:"
    ),
    "apply_messages_again": Mutant(
        "common/ledger/inbox.py", "if message.number == expected:", "if message.number >= 1:"
    ),
    "lift_every_hold": Mutant(
        "common/ledger/holds.py", "if _key(hold) != _key(notice.hold)", "if notice.placed"
    ),
    "expire_before_repeating": Mutant(
        "common/ledger/window.py",
        "expired(time_unix_ms, row.valid_until_unix_ms + WINDOW_GRACE_MS)",
        "expired(time_unix_ms, row.valid_until_unix_ms)",
    ),
    "forget_a_reused_id": Mutant(
        "common/ledger/transition.py",
        "        _keep_longer(context, transaction, earlier)\n", "        pass\n",
    ),
    "keep_no_results": Mutant(
        "common/ledger/transition.py",
        "return bool(transaction.sender) and code not in _NOT_THE_SENDERS", "return code < 0",
    ),
    "pay_no_fee": Mutant(CASH, "leg.payee, leg.amount - leg.fee)", "leg.payee, leg.amount)"),
    "pay_from_nothing": Mutant(CASH, "    if available < amount:", "    if False:"),
    "pay_out_in_silence": Mutant(
        CASH, "    accounts = CLAIMABLE", "    return\n    accounts = CLAIMABLE"
    ),
    "tokenise_again": Mutant(
        RECEIPTS, "    if receipt.state == ReceiptState.TOKENISED:\n", "    if False:\n"
    ),
    "reserve_a_receipt_twice": Mutant(
        RECEIPTS, "if receipt.transfer_id and receipt.state == ReceiptState.ISSUED:", "if False:"
    ),
    "mint_more": Mutant(LOTS, "leg.goods_code, leg.quantity, leg.unit)", "leg.goods_code, "
                        "proven.quantity, leg.unit)"),
    "mint_on_a_live_lot": Mutant(LOTS, "    if live is not None:", "    if False:"),
    "sell_what_is_not_free": Mutant(HOLDINGS, "    if free < quantity:", "    if False:"),
    "keep_the_title": Mutant(
        HOLDINGS,
        "leg.lot_id, reserved=-leg.quantity)", "leg.lot_id, free=leg.quantity, "
        "reserved=-leg.quantity)",
    ),
}  # fmt: skip


NOTICED_BY = {
    "expire_after_the_deadline": "before_the_deadline_only or from_the_deadline_on",
    "skip_consents": "CONSENT_MISSING",
    "believe_any_signature": "signatures_of_others",
    "skip_the_hash_lock": "hash_lock_serves",
    "skip_the_leg_hash": "LEG_MISMATCH",
    "skip_holds": "hold_before_the",
    "skip_freshness": "on_an_old_header",
    "skip_the_reservations_id": "PROOF_MISMATCH",
    "expire_without_a_right": "tombstone",
    "take_any_deadline": "deadline_lies_within",
    "commit_what_is_held": "hold_before_the_decision",
    "commit_late": "before_the_deadline_only",
    "settle_on_another_record": "no_other_record",
    "settle_on_a_reservation": "no_other_record",
    "settle_twice": "repeats_of_what_is_done",
    "release_what_is_committed": "pays_the_seller",
    "decline_for_anyone": "secret_holder_decline",
    "keep_no_tombstone": "tombstone or before_anything_is_reserved",
    "forget_the_hash_lock": "hash_lock_serves",
    "any_secret_opens": "SECRET_MISMATCH",
    "two_outcomes": "its_table_holds",
    "drop_the_pot": "pays_the_seller or party_has_closed",
    "claim_while_held": "partys_alone",
    "claim_twice": "partys_alone",
    "claim_anothers_pot": "partys_alone",
    "overtake_messages": "cannot_be_outrun",
    "never_stale": "on_an_old_header",
    "fresh_without_messages": "fresh_by_a_header",
    "count_a_signature_twice": "few_signatures",
    "apply_messages_with_gaps": "messages_come",
    "apply_messages_again": "messages_come",
    "lift_every_hold": "lifts_no_other",
    "expire_before_repeating": "before_expiry_is_judged",
    "forget_a_reused_id": "never_takes_effect_later",
    "keep_no_results": "before_expiry_is_judged",
    "pay_no_fee": "pays_the_seller",
    "pay_from_nothing": "INSUFFICIENT_FUNDS",
    "pay_out_in_silence": "partys_alone",
    "tokenise_again": "RECEIPT_TOKENISED",
    "reserve_a_receipt_twice": "RECEIPT_RESERVED",
    "mint_more": "FACTS_MISMATCH",
    "mint_on_a_live_lot": "RECEIPT_HAS_LOT",
    "sell_what_is_not_free": "INSUFFICIENT_UNITS",
    "keep_the_title": "pays_the_seller",
}
"""Which tests of the contracts are enough: a `-k` expression for each mutant."""


def first_red(tree: Path, tests: Sequence[str]) -> str:
    """The first red test, or an empty string."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests],
        cwd=tree, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS,
    )  # fmt: skip
    red = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return red[0] if done.returncode == 1 and red else ""


def noticed_by(tree: Path, mutant: Mutant, tests: Sequence[str]) -> str:
    """The first test that is red with the mutant in the tree, or an empty string."""
    path = tree / mutant.file
    text = path.read_text(encoding="utf-8")
    assert text.count(mutant.old) == 1, f"{mutant.file}: {text.count(mutant.old)} of {mutant.old!r}"
    path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    try:
        return first_red(tree, tests)
    finally:
        path.write_text(text, encoding="utf-8")


def main(arguments: Sequence[str]) -> int:
    chosen = [name for name in arguments if not name.startswith("-")] or list(MUTANTS)
    by_machine = "--machine" in arguments
    survivors = []
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        for name in COPIED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, tree / name)
        unbroken = first_red(tree, [MACHINE if by_machine else CONTRACTS])
        assert not unbroken, f"red without any mutant: {unbroken}"
        for name in chosen:
            tests = [MACHINE] if by_machine else [CONTRACTS, "-k", NOTICED_BY[name]]
            red = noticed_by(tree, MUTANTS[name], tests)
            print(f"{name:28} {red or 'SURVIVES'}"[:150], flush=True)
            if not red:
                survivors.append(name)
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} noticed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Ways to break the watch over goods, as changes of its text, and the tests that notice.

python -m tests.mutants.goods                  # every mutant, each against the tests named here
python -m tests.mutants.goods see_no_gap       # only this
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.mutants.ledgers import CONTRACTS, COPIED, ROOT, Mutant, noticed_by

RULES = "bizchain/contracts/logistics/queries.py"
EVENTS = "bizchain/contracts/logistics/operations.py"
INCIDENTS = "bizchain/contracts/incidents/operations.py"
RECEIPTS = "bizchain/contracts/receipts/operations.py"
LINEAGE = "bizchain/contracts/lineage/operations.py"
EXITS = "bizchain/contracts/exits/operations.py"
LOSSES = "common/ledger/impairment.py"
LOTS = "assetchain/contracts/lots/operations.py"

MUTANTS = {
    "miss_nothing_at_the_edge": Mutant(
        RULES, "* BASIS_POINTS < due * least", "* BASIS_POINTS <= due * least"
    ),
    "miss_what_is_lost": Mutant(
        RULES, "due = seen.receipt.quantity - seen.impaired", "due = seen.receipt.quantity"
    ),
    "move_what_is_about_to_be_a_lot": Mutant(
        RULES, "state is ReceiptState.ISSUED and bool(receipt.transfer_id)", "False"
    ),
    "misplace_what_moves": Mutant(
        RULES, "seen.event.kind not in MOVE_KINDS and seen.event.place", "seen.event.place"
    ),
    "share_a_container": Mutant(
        RULES, "claim.receipt_id != seen.receipt.receipt_id\n        or", "False\n        or"
    ),
    "claim_for_ever": Mutant(
        RULES, "or offspring_of(state, other.receipt_id) > 0", "or other.state == 'SUPERSEDED'"
    ),
    "claim_nothing_of_what_is_superseded": Mutant(
        RULES, " or offspring_of(state, other.receipt_id) > 0", ""
    ),
    "see_no_gap": Mutant(
        RULES, "return seen.event.named_hash != seen.event.previous_hash", "return False"
    ),
    "call_the_overtaken_a_gap": Mutant(
        RULES, "known.append(origin_hash(origin_in(state, receipt)))", "pass"
    ),
    "post_for_anyone": Mutant(
        EVENTS, "    if context.sender in (receipt.warehouse, head.custodian):\n", "    if True:\n"
    ),
    "post_the_future": Mutant(
        EVENTS, "if not expired(context.time_unix_ms, event.event_unix_ms):", "if False:"
    ),
    "take_anothers_container": Mutant(
        EVENTS,
        "if sscc not in known or known[sscc].receipt_id == receipt.receipt_id",
        "if True",
    ),
    "void_answers_to_the_overdue": Mutant(
        EVENTS,
        "if rule is not WatchRule.OVERDUE or open_case_of(context.state, head, rule) is None",
        "if True",
    ),
    "expect_tokenised_goods_elsewhere": Mutant(
        EVENTS,
        "moves = event.kind in MOVE_KINDS and not is_immobilised(receipt)",
        "moves = event.kind in MOVE_KINDS",
    ),
    "take_goods_late": Mutant(
        EVENTS, "if expired(context.time_unix_ms, handover.deadline_unix_ms):", "if False:"
    ),
    "take_goods_of_others": Mutant(
        EVENTS,
        'if not is_named(context.sender, handover, HANDOVER_ACTORS["accept"]):',
        "if False:",
    ),
    "keep_every_event": Mutant(EVENTS, "    if event.number > EVENTS_KEPT:", "    if False:"),
    "lift_a_newer_alarm": Mutant(INCIDENTS, "return _unanswered(renewed)", "return renewed"),
    "judge_ones_own_report": Mutant(
        INCIDENTS,
        "if context.sender in (reporter, receipt.owner):",
        "if context.sender == receipt.owner:",
    ),
    "judge_ones_own_goods": Mutant(
        INCIDENTS,
        "if context.sender in (reporter, receipt.owner):",
        "if context.sender == reporter:",
    ),
    "approve_another_report": Mutant(INCIDENTS, "if reported != judged:", "if False:"),
    "lift_with_one_of_two": Mutant(INCIDENTS, "len(missing) == 1", "True"),
    "approve_in_two_roles": Mutant(
        INCIDENTS, "if context.sender in [approval.party for approval in given]:", "if False:"
    ),
    "stand_in_without_a_regulator": Mutant(
        "bizchain/contracts/incidents/queries.py", "if said_by == receipt.warehouse", "if True"
    ),
    "hold_in_silence": Mutant(INCIDENTS, '    context.send("hold", notice)\n', ""),
    "stand_in_for_who_is_there": Mutant(
        INCIDENTS, "if warehouse_signs(context.state, receipt):", "if False:"
    ),
    "stand_in_without_an_office": Mutant(
        INCIDENTS, '    context.require_role(*CASE_ACTORS["stand_in"])\n', ""
    ),
    "stand_in_for_ones_own_goods": Mutant(
        INCIDENTS,
        "    if context.sender == receipt.owner:\n        raise",
        "    if False:\n        raise",
    ),
    "see_all_for_the_warehouse": Mutant(EVENTS, "kind == GoodsKind.STOCK_TAKE and not", "not"),
    "replace_ones_own_answer": Mutant(
        INCIDENTS, 'case.answered_by not in ("", context.sender)', 'case.answered_by != ""'
    ),
    "replace_with_approvals": Mutant(
        INCIDENTS,
        "reached = _unanswered(_case_after(case, step))",
        "reached = _case_after(case, step)",
    ),
    "grade_who_stands_in": Mutant(
        "bizchain/contracts/grades/operations.py",
        'if kind == "post_event" and context.roles.isdisjoint(CUSTODY_ROLES):',
        "if False:",
    ),
    "grade_no_post": Mutant(
        "bizchain/contracts/grades/operations.py",
        " and context.roles.isdisjoint(CUSTODY_ROLES)",
        "",
    ),
    "judge_ones_own_part": Mutant(
        INCIDENTS,
        "    _check_other_firm(context, receipt, said_by)\n"
        "    _check_owns_no_part(context, receipt)\n",
        "    _check_other_firm(context, receipt, said_by)\n",
    ),
    "stand_in_for_ones_own_part": Mutant(
        INCIDENTS,
        'that their own firm owns")\n    _check_owns_no_part(context, receipt)\n',
        'that their own firm owns")\n',
    ),
    "count_one_of_all_children": Mutant(
        LINEAGE,
        "count_offspring(context, made, len(leg.children))",
        "count_offspring(context, made, 1)",
    ),
    "count_what_is_superseded": Mutant(
        LINEAGE, "            count_offspring(context, parent, -1)\n", "            pass\n"
    ),
    "count_what_is_delivered": Mutant(RECEIPTS, "    count_offspring(context, receipt, -1)\n", ""),
    "count_who_had_it_made": Mutant(
        EXITS,
        "if released.owner != receipt.owner:",
        "if False:",
    ),
    "count_the_nearest_alone": Mutant(
        LINEAGE,
        "ancestors_of(context.state, LINEAGE, receipt.receipt_id):",
        "ancestors_of(context.state, LINEAGE, receipt.receipt_id)[:1]:",
    ),
    "withdraw_for_anyone": Mutant(
        INCIDENTS,
        'step = _speaking(context, receipt, "withdraw", LOSS_ACTORS)',
        'step = "withdraw"',
    ),
    "withdraw_what_one_withdrew": Mutant(
        INCIDENTS, "    _check_judge(context, receipt, withdrawal.withdrawn_by)\n", ""
    ),
    "withdraw_as_owner_of_a_part": Mutant(
        INCIDENTS,
        "    _check_judge(context, receipt, withdrawal.withdrawn_by)\n",
        "    _check_other_firm(context, receipt, withdrawal.withdrawn_by)\n",
    ),
    "let_an_office_make_a_regulator": Mutant(
        "bizchain/contracts/parties/types.py", 'return "regulator" if', 'return "administrator" if'
    ),
    "let_an_office_change_one_into_a_regulator": Mutant(
        "bizchain/contracts/authority/queries.py",
        'if change.kind != "grant_role" or',
        'if change.kind == "grant_role" or',
    ),
    "judge_the_alarm_before": Mutant(
        INCIDENTS, "if judged.event_number != case.event_number:", "if False:"
    ),
    "judge_the_loss_before": Mutant(INCIDENTS, "if quantity != loss.quantity:", "if False:"),
    "withdraw_another_loss": Mutant(
        INCIDENTS, "    _check_same_loss(before, operation.quantity, operation.report_hash)\n", ""
    ),
    "withdraw_on_other_evidence": Mutant(
        INCIDENTS,
        "    _check_same_report(withdrawal.evidence_hash, operation.evidence_hash)\n",
        "",
    ),
    "split_what_is_being_withdrawn": Mutant(
        "bizchain/contracts/incidents/queries.py",
        "loss.state != LossState.WITHDRAWN",
        "loss.state not in (LossState.WITHDRAWN, LossState.WITHDRAWING)",
    ),
    "forget_what_was_confirmed": Mutant(
        "bizchain/contracts/incidents/queries.py", "(loss.impaired > 0 or ", "(False or "
    ),
    "remember_an_old_withdrawal": Mutant(
        INCIDENTS,
        "    _keep_loss(context, loss)\n"
        "    context.state.delete(LOSS_WITHDRAWAL, LOSS_WITHDRAWAL.key(loss.receipt_id))\n\n\n"
        "def check_confirm",
        "    _keep_loss(context, loss)\n\n\ndef check_confirm",
    ),
    "lose_in_silence": Mutant(INCIDENTS, '    context.send("impairment", notice)\n', ""),
    "lose_more_than_there_is": Mutant(
        INCIDENTS, "if not 0 < operation.quantity <= left:", "if not 0 < operation.quantity:"
    ),
    "deliver_from_any_state": Mutant(
        RECEIPTS,
        '    moved = _moved(receipt, "deliver")\n',
        "    moved = replace(receipt, state=ReceiptState.DELIVERED.value)\n",
    ),
    "deliver_to_anyone": Mutant(
        RECEIPTS,
        'if not named or not is_named(context.sender, receipt, ACTORS["deliver"]):',
        "if False:",
    ),
    "apply_a_loss_again": Mutant(LOSSES, "notice.number != number + 1 or", ""),
    "lose_more_than_was_minted": Mutant(
        LOTS, "notice.total > left_of(lot):\n        raise", "False:\n        raise"
    ),
}

NOTICED_BY = (
    "logistics or handovers or incidents or delivery"
    " or closed_warehouse or parts_judged or losses_withdrawn or recasts_watched"
    " or made_by_a_regulator"
)
"""The tests of the contracts that are about goods, and about who judges them."""


def main(arguments: Sequence[str]) -> int:
    survivors = []
    chosen = list(arguments) or list(MUTANTS)
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        for name in COPIED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, tree / name)
        for name in chosen:
            red = noticed_by(tree, MUTANTS[name], [CONTRACTS, "-k", NOTICED_BY])
            print(f"{name:32} {red or 'SURVIVES'}"[:150], flush=True)
            if not red:
                survivors.append(name)
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} noticed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The audit of whole ledgers written dishonestly: each is caught, by the rule that it breaks."""

from __future__ import annotations

from typing import Any

import pytest

from assetchain.contracts.lineage.keys import LINEAGE as LOT_LINEAGE
from bizchain.contracts.incidents.keys import LOSS_WITHDRAWAL
from bizchain.contracts.incidents.types import LossWithdrawal
from bizchain.contracts.lineage.keys import OFFSPRING
from bizchain.contracts.lineage.types import Offspring
from common.encoding import Canonical
from common.ledger.lineage import Lineage
from common.ledger.state import Table
from relay.audit.findings import Violated
from tests.kit.tampering import TAMPERINGS, audited, world

TAMPERINGS_MIN = 20


def test_what_was_done_by_the_rules_is_clean() -> None:
    audited(world())
    assert len(TAMPERINGS) >= TAMPERINGS_MIN


NO_TEXT = b"receipt-\xff"
UNREADABLE: dict[str, tuple[str, Table[Any], Canonical]] = {
    "offspring of receipts is counted": ("bizchain", OFFSPRING, Offspring(1)),
    "withdrawals are of losses": (
        "bizchain", LOSS_WITHDRAWAL, LossWithdrawal("receipt-bob", "warehouse", bytes(32), ()),
    ),
    "pair": ("assetchain", LOT_LINEAGE, Lineage((), 1, 0, bytes(32))),
}  # fmt: skip


@pytest.mark.parametrize("rule", UNREADABLE)
def test_a_row_under_a_key_that_is_no_text_is_a_finding(rule: str) -> None:
    """Whichever rule reads it first: the audit goes on to say what is wrong."""
    name, table, row = UNREADABLE[rule]
    pair = world()
    side = pair.business if name == "bizchain" else pair.asset
    side.ledger.state.put(table, table.prefix + NO_TEXT, row)
    with pytest.raises(Violated) as caught:
        audited(pair)
    finding = caught.value.finding
    assert (finding.invariant, finding.place) == (rule, name)
    assert NO_TEXT.hex() in finding.message


@pytest.mark.parametrize("name", TAMPERINGS)
def test_a_tampered_ledger_is_named_with_the_rule_it_breaks(name: str) -> None:
    tampering = TAMPERINGS[name]
    pair = world()
    tampering.change(pair)
    with pytest.raises(Violated) as caught:
        audited(pair)
    finding = caught.value.finding
    assert finding.invariant == tampering.invariant, finding
    assert tampering.says in finding.message
    assert finding.height in (pair.business.height, pair.asset.height)

"""The audit of whole ledgers written dishonestly: each is caught, by the rule that it breaks."""

from __future__ import annotations

import pytest

from relay.audit.findings import Violated
from tests.kit.tampering import TAMPERINGS, audited, world

TAMPERINGS_MIN = 20


def test_what_was_done_by_the_rules_is_clean() -> None:
    audited(world())
    assert len(TAMPERINGS) >= TAMPERINGS_MIN


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

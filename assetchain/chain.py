"""The circulation of digital assets as one value: everything a node needs to run this chain."""

from __future__ import annotations

from assetchain.contracts.exits import invariants as exit_invariants
from assetchain.contracts.exits import operations as exits
from assetchain.contracts.governance import invariants as governance_invariants
from assetchain.contracts.governance import operations as governance
from assetchain.contracts.grades import invariants as grade_invariants
from assetchain.contracts.grades import operations as grades
from assetchain.contracts.holdings import invariants as holding_invariants
from assetchain.contracts.holdings import operations as holdings
from assetchain.contracts.lineage import invariants as lineage_invariants
from assetchain.contracts.lineage import operations as lineage
from assetchain.contracts.listings import invariants as listing_invariants
from assetchain.contracts.listings import operations as listings
from assetchain.contracts.lots import invariants as lot_invariants
from assetchain.contracts.lots import operations as lots
from assetchain.contracts.parties import invariants as party_invariants
from assetchain.contracts.parties import operations as parties
from assetchain.reading import READING
from assetchain.v1.operation_pb2 import Operation
from common.ledger.chain import Chain
from common.transfer.invariants import INVARIANTS as TRANSFER_INVARIANTS
from common.transfer.operations import common_rules

__all__ = ["CHAIN"]

CHAIN = Chain(
    name="assetchain",
    operation_type=Operation,
    rules={
        **common_rules(holdings.pay_out_pot),
        **parties.OPERATIONS,
        **grades.OPERATIONS,
        **lots.OPERATIONS,
        **holdings.OPERATIONS,
        **governance.OPERATIONS,
        **listings.OPERATIONS,
    },
    legs={**lots.LEGS, **holdings.LEGS, **listings.LEGS, **exits.LEGS, **lineage.LEGS},
    messages={
        **parties.MESSAGES,
        **lots.MESSAGES,
        **governance.MESSAGES,
        **grades.MESSAGES,
    },
    invariants={
        **TRANSFER_INVARIANTS,
        **party_invariants.INVARIANTS,
        **grade_invariants.INVARIANTS,
        **lot_invariants.INVARIANTS,
        **holding_invariants.INVARIANTS,
        **governance_invariants.INVARIANTS,
        **listing_invariants.INVARIANTS,
        **exit_invariants.INVARIANTS,
        **lineage_invariants.INVARIANTS,
    },
    permit=grades.permit,
    obeys_holds_of_peer=True,
    reading=READING,
)

"""The business books as one value: everything a node needs to run this chain."""

from __future__ import annotations

from bizchain.contracts.applications import invariants as application_invariants
from bizchain.contracts.applications import operations as applications
from bizchain.contracts.authority import invariants as authority_invariants
from bizchain.contracts.authority import operations as authority
from bizchain.contracts.cash import invariants as cash_invariants
from bizchain.contracts.cash import operations as cash
from bizchain.contracts.documents import invariants as document_invariants
from bizchain.contracts.documents import operations as documents
from bizchain.contracts.exits import invariants as exit_invariants
from bizchain.contracts.exits import operations as exits
from bizchain.contracts.governance import invariants as governance_invariants
from bizchain.contracts.governance import operations as governance
from bizchain.contracts.grades import invariants as grade_invariants
from bizchain.contracts.grades import operations as grades
from bizchain.contracts.incidents import invariants as incident_invariants
from bizchain.contracts.incidents import operations as incidents
from bizchain.contracts.invoices import invariants as invoice_invariants
from bizchain.contracts.invoices import operations as invoices
from bizchain.contracts.lineage import invariants as lineage_invariants
from bizchain.contracts.lineage import operations as lineage
from bizchain.contracts.logistics import invariants as logistics_invariants
from bizchain.contracts.logistics import operations as logistics
from bizchain.contracts.parties import invariants as party_invariants
from bizchain.contracts.parties import operations as parties
from bizchain.contracts.receipts import invariants as receipt_invariants
from bizchain.contracts.receipts import operations as receipts
from bizchain.contracts.valuations import invariants as valuation_invariants
from bizchain.contracts.valuations import operations as valuations
from bizchain.reading import READING
from bizchain.v1.operation_pb2 import Operation
from common.ledger.chain import Chain
from common.transfer.invariants import INVARIANTS as TRANSFER_INVARIANTS
from common.transfer.operations import common_rules

__all__ = ["CHAIN"]

CHAIN = Chain(
    name="bizchain",
    operation_type=Operation,
    rules={
        **common_rules(cash.pay_out_pot),
        **parties.OPERATIONS,
        **authority.OPERATIONS,
        **grades.OPERATIONS,
        **receipts.OPERATIONS,
        **cash.OPERATIONS,
        **documents.OPERATIONS,
        **invoices.OPERATIONS,
        **governance.OPERATIONS,
        **logistics.OPERATIONS,
        **incidents.OPERATIONS,
        **exits.OPERATIONS,
        **valuations.OPERATIONS,
        **applications.OPERATIONS,
    },
    legs={**receipts.LEGS, **cash.LEGS, **exits.LEGS, **lineage.LEGS},
    invariants={
        **TRANSFER_INVARIANTS,
        **party_invariants.INVARIANTS,
        **authority_invariants.INVARIANTS,
        **grade_invariants.INVARIANTS,
        **receipt_invariants.INVARIANTS,
        **cash_invariants.INVARIANTS,
        **document_invariants.INVARIANTS,
        **invoice_invariants.INVARIANTS,
        **governance_invariants.INVARIANTS,
        **logistics_invariants.INVARIANTS,
        **incident_invariants.INVARIANTS,
        **exit_invariants.INVARIANTS,
        **lineage_invariants.INVARIANTS,
        **valuation_invariants.INVARIANTS,
        **application_invariants.INVARIANTS,
    },
    permit=grades.permit,
    found=parties.found,
    reading=READING,
)

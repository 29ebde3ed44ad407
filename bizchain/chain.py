"""The business books as one value: everything a node needs to run this chain."""

from __future__ import annotations

from bizchain.contracts.cash import invariants as cash_invariants
from bizchain.contracts.cash import operations as cash
from bizchain.contracts.documents import invariants as document_invariants
from bizchain.contracts.documents import operations as documents
from bizchain.contracts.governance import invariants as governance_invariants
from bizchain.contracts.governance import operations as governance
from bizchain.contracts.invoices import invariants as invoice_invariants
from bizchain.contracts.invoices import operations as invoices
from bizchain.contracts.parties import invariants as party_invariants
from bizchain.contracts.parties import operations as parties
from bizchain.contracts.receipts import invariants as receipt_invariants
from bizchain.contracts.receipts import operations as receipts
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
        **receipts.OPERATIONS,
        **cash.OPERATIONS,
        **documents.OPERATIONS,
        **invoices.OPERATIONS,
        **governance.OPERATIONS,
    },
    legs={**receipts.LEGS, **cash.LEGS},
    invariants={
        **TRANSFER_INVARIANTS,
        **party_invariants.INVARIANTS,
        **receipt_invariants.INVARIANTS,
        **cash_invariants.INVARIANTS,
        **document_invariants.INVARIANTS,
        **invoice_invariants.INVARIANTS,
        **governance_invariants.INVARIANTS,
    },
)

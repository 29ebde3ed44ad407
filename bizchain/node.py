"""What a node process of the business books runs: `--app bizchain.node:APP`."""

from __future__ import annotations

from bizchain.chain import CHAIN
from bizchain.contracts.applications import service as applications
from bizchain.contracts.authority import service as authority
from bizchain.contracts.cash import service as cash
from bizchain.contracts.documents import service as documents
from bizchain.contracts.governance import service as governance
from bizchain.contracts.grades import service as grades
from bizchain.contracts.incidents import service as incidents
from bizchain.contracts.invoices import service as invoices
from bizchain.contracts.logistics import service as logistics
from bizchain.contracts.parties import service as parties
from bizchain.contracts.receipts import service as receipts
from bizchain.contracts.valuations import service as valuations
from common.node.app import NodeApp

__all__ = ["APP"]

APP = NodeApp(
    chain=CHAIN,
    services=(
        parties.SERVICE,
        receipts.SERVICE,
        cash.SERVICE,
        documents.SERVICE,
        invoices.SERVICE,
        governance.SERVICE,
        logistics.SERVICE,
        incidents.SERVICE,
        authority.SERVICE,
        grades.SERVICE,
        valuations.SERVICE,
        applications.SERVICE,
    ),
)

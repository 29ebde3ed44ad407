"""What a node process of the asset chain runs: `--app assetchain.node:APP`."""

from __future__ import annotations

from assetchain.chain import CHAIN
from assetchain.contracts.governance import service as governance
from assetchain.contracts.holdings import service as holdings
from assetchain.contracts.listings import service as listings
from assetchain.contracts.lots import service as lots
from assetchain.contracts.parties import service as parties
from common.node.app import NodeApp

__all__ = ["APP"]

APP = NodeApp(
    chain=CHAIN,
    services=(
        parties.SERVICE,
        lots.SERVICE,
        holdings.SERVICE,
        governance.SERVICE,
        listings.SERVICE,
    ),
)

"""The chains this program knows, by name."""

from __future__ import annotations

from collections.abc import Mapping

from assetchain.chain import CHAIN as ASSETCHAIN
from bizchain.chain import CHAIN as BIZCHAIN
from common.ledger.chain import Chain

__all__ = ["ASSETCHAIN", "BIZCHAIN", "CHAINS"]

CHAINS: Mapping[str, Chain] = {chain.name: chain for chain in (BIZCHAIN, ASSETCHAIN)}

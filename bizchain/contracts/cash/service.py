"""Reads of cash accounts over gRPC, each with its evidence."""

from __future__ import annotations

import grpc

from bizchain.contracts.cash.keys import CASH
from bizchain.contracts.cash.types import CashAccount
from bizchain.v1 import cash_service_pb2 as pb
from bizchain.v1.cash_service_pb2_grpc import (
    CashServiceServicer,
    add_CashServiceServicer_to_server,
)
from common.rpc.reads import LedgerReads, Service

__all__ = ["SERVICE"]


class CashService(CashServiceServicer):
    """Cash accounts of the business books."""

    def __init__(self, reads: LedgerReads) -> None:
        self._reads = reads

    async def GetCashAccount(  # noqa: N802
        self, request: pb.GetCashAccountRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.GetCashAccountResponse:
        """One cash account, with proof of inclusion."""
        key = CASH.key(request.party_id, request.currency)
        found = self._reads.require(CASH, key, request.min_height)
        return pb.GetCashAccountResponse(
            cash_account=_view(key, found.value), evidence=found.evidence
        )

    async def ListCashAccounts(  # noqa: N802
        self, request: pb.ListCashAccountsRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.ListCashAccountsResponse:
        """A page of cash accounts, all at one final height."""
        page = self._reads.page(
            CASH,
            request.page_size,
            request.page_token,
            *([request.party_id, ""] if request.party_id else []),
        )
        return pb.ListCashAccountsResponse(
            cash_accounts=[_view(key, value) for key, value in page.rows],
            entries=page.entries,
            block=page.block,
            next_page_token=page.next_page_token,
        )


def _view(key: bytes, account: CashAccount) -> pb.CashAccount:
    party_id, currency = key[1:].decode().split("/")
    return pb.CashAccount(
        party_id=party_id,
        currency=currency,
        available=account.available,
        reserved=account.reserved,
    )


def _register(server: grpc.aio.Server, reads: LedgerReads) -> None:
    add_CashServiceServicer_to_server(CashService(reads), server)


SERVICE = Service(pb.DESCRIPTOR.services_by_name["CashService"].full_name, _register)

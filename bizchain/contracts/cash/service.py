"""Reads of cash accounts over gRPC, each with its evidence."""

from __future__ import annotations

import grpc

from bizchain.contracts.cash.keys import CASH, ISSUANCE, TRADE_INVOICE
from bizchain.contracts.cash.types import CashAccount, Issuance, TradeInvoice
from bizchain.v1 import cash_service_pb2 as pb
from bizchain.v1.cash_service_pb2_grpc import (
    CashServiceServicer,
    add_CashServiceServicer_to_server,
)
from common.rpc.reads import LedgerReads, Service
from common.transfer.pots import POT, Pot

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
            at_height=request.at_height,
        )
        return pb.ListCashAccountsResponse(
            cash_accounts=[_view(key, value) for key, value in page.rows],
            entries=page.entries,
            block=page.block,
            next_page_token=page.next_page_token,
        )

    async def ListIssuances(  # noqa: N802
        self, request: pb.ListIssuancesRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.ListIssuancesResponse:
        """A page of what banks issued, all at one final height."""
        page = self._reads.page(
            ISSUANCE, request.page_size, request.page_token, at_height=request.at_height
        )
        return pb.ListIssuancesResponse(
            issuances=[_issuance(key, value) for key, value in page.rows],
            entries=page.entries,
            block=page.block,
            next_page_token=page.next_page_token,
        )

    async def ListClaims(  # noqa: N802
        self, request: pb.ListClaimsRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.ListClaimsResponse:
        """A page of money that waits for its party, all at one final height."""
        page = self._reads.page(
            POT, request.page_size, request.page_token, at_height=request.at_height
        )
        return pb.ListClaimsResponse(
            claims=[_claim(key, value) for key, value in page.rows],
            entries=page.entries,
            block=page.block,
            next_page_token=page.next_page_token,
        )

    async def ListTradeInvoices(  # noqa: N802
        self, request: pb.ListTradeInvoicesRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.ListTradeInvoicesResponse:
        """A page of what settled trades cost, all at one final height."""
        page = self._reads.page(TRADE_INVOICE, request.page_size, request.page_token)
        return pb.ListTradeInvoicesResponse(
            trade_invoices=[_trade_invoice(value) for _, value in page.rows],
            entries=page.entries,
            block=page.block,
            next_page_token=page.next_page_token,
        )


def _trade_invoice(invoice: TradeInvoice) -> pb.TradeInvoice:
    return pb.TradeInvoice(
        transfer_id=invoice.transfer_id,
        seller=invoice.seller,
        buyer=invoice.buyer,
        currency=invoice.currency,
        payable=invoice.payable,
        fee=invoice.fee,
        listing_id=invoice.listing_id,
        issued_unix_ms=invoice.issued_unix_ms,
    )


def _issuance(key: bytes, row: Issuance) -> pb.Issuance:
    currency, bank = key[1:].decode().split("/")
    return pb.Issuance(currency=currency, bank=bank, issued=row.issued, redeemed=row.redeemed)


def _claim(key: bytes, pot: Pot) -> pb.Claim:
    transfer_id, _, _ = key[1:].decode().split("/")
    return pb.Claim(
        transfer_id=bytes.fromhex(transfer_id),
        party_id=pot.party,
        currency=pot.asset,
        amount=pot.quantity,
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

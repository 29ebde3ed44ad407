"""The client of the business books: every operation and every row, typed, signed here, proven.

    async with LedgerClient(network, "bizchain", credential) as ledger:
        books = BusinessClient(ledger)
        await books.by(bank).deposit_cash("buyer-1", "CNY", 500_000, "SWIFT-77")
        account = await books.cash("buyer-1", "CNY")
        account.value.available, account.block.height

Acts return once they are final. Reads are proven under the pinned chain id, or refused. Amounts are
minor units of their currency, quantities base units; ids are those of `common.ledger.identity`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, NamedTuple

from google.protobuf.message import Message

import bizchain.reasons  # noqa: F401 (so that refusals of this chain are known by name)
from bizchain.authority_client import AuthorityClient
from bizchain.contracts.cash.keys import CASH, ISSUANCE, TRADE_INVOICE
from bizchain.contracts.cash.queries import schedule_of, trial_balance
from bizchain.contracts.cash.types import (
    FEE_SCHEDULE,
    PLATFORM_FEES,
    CashAccount,
    Issuance,
    ScheduleInForce,
    TradeInvoice,
    TrialBalance,
)
from bizchain.contracts.documents.keys import DOCUMENT
from bizchain.contracts.documents.types import Document
from bizchain.contracts.exits.keys import EXIT_REQUEST
from bizchain.contracts.exits.queries import fee_of, worth_by
from bizchain.contracts.exits.types import ExitRequest, StorageFee
from bizchain.contracts.lineage.keys import LINEAGE, STORAGE
from bizchain.contracts.parties.types import Party, RoleGrant, User
from bizchain.contracts.receipts.keys import RECEIPT
from bizchain.contracts.receipts.types import Receipt
from bizchain.contracts.valuations.keys import VALUATION
from bizchain.goods_client import GoodsClient
from bizchain.paperclient import PaperClient
from bizchain.statement import JournalBlock, Statement, balances_of, statement_of
from bizchain.v1 import cash_service_pb2 as cash_pb
from bizchain.v1 import document_service_pb2 as document_pb
from bizchain.v1 import operation_pb2 as pb
from bizchain.v1 import party_service_pb2 as party_pb
from bizchain.v1 import receipt_service_pb2 as receipt_pb
from bizchain.v1.cash_service_pb2_grpc import CashServiceStub
from bizchain.v1.document_service_pb2_grpc import DocumentServiceStub
from bizchain.v1.party_service_pb2_grpc import PartyServiceStub
from bizchain.v1.receipt_service_pb2_grpc import ReceiptServiceStub
from common.errors import CommonReason, Refused
from common.ledger.block import Event
from common.ledger.grades import CREDIT_PERMISSIONS, POLICY_TABLE, PolicyInForce, policy_of
from common.ledger.holds import HOLD, Holds
from common.ledger.identity import PARTY
from common.ledger.lineage import Lineage
from common.rpc.client import Found
from common.rpc.typed import CALL_SECONDS, PAGE_ROWS, Row
from common.rpc.verifier import Outcome
from common.transfer.pots import POT

__all__ = ["BusinessClient", "ProvenTrialBalance"]

READ_AHEAD_BLOCKS = 16


class ProvenTrialBalance(NamedTuple):
    """The trial balance of each currency at a final height."""

    height: int
    balances: Mapping[str, TrialBalance]


class BusinessClient(AuthorityClient, GoodsClient, PaperClient):
    """Acts on the books and reads from them."""

    operation_type: ClassVar[type[Message]] = pb.Operation

    # --- parties and holds -----------------------------------------------------------------------

    async def propose_party(
        self,
        party_id: str,
        name: str,
        roles: Iterable[RoleGrant],
        users: Iterable[User],
        legal_entity_identifier: str = "",
        identifiers: Mapping[str, str] | None = None,
        documents: Sequence[bytes] = (),
    ) -> Outcome:
        """By an administrator (the maker): a new party, until another one approves it.

        `identifiers` are further ones, scheme -> text: USCC, GLN. `documents` are SHA-256 hashes.
        """
        return await self.act(
            propose_party=pb.ProposeParty(
                party_id=party_id,
                name=name,
                legal_entity_identifier=legal_entity_identifier,
                roles=[
                    pb.RoleGrant(role=grant.role, until_unix_ms=grant.until_unix_ms)
                    for grant in roles
                ],
                users=[pb.User(user_id=user.user_id, public_key=user.public_key) for user in users],
                identifiers=[
                    pb.PartyIdentifier(scheme=scheme, value=value)
                    for scheme, value in (identifiers or {}).items()
                ],
                documents=documents,
            )
        )

    async def approve_party(self, party_id: str) -> Outcome:
        """By another administrator (the checker); a regulator by a regulator."""
        return await self.act(approve_party=pb.ApproveParty(party_id=party_id))

    async def place_hold(
        self, subject_kind: str, subject_id: str, case_id: str, ground: str
    ) -> Outcome:
        """By an authority: no new moves of a party, receipt or lot, on either chain."""
        return await self.act(
            place_hold=pb.PlaceHold(
                subject_kind=subject_kind, subject_id=subject_id, case_id=case_id, ground=ground
            )
        )

    async def lift_hold(self, subject_kind: str, subject_id: str, case_id: str) -> Outcome:
        """By the authority that placed it; lifts no other hold."""
        return await self.act(
            lift_hold=pb.LiftHold(subject_kind=subject_kind, subject_id=subject_id, case_id=case_id)
        )

    async def party(self, party_id: str) -> Found[Party]:
        """A party, in any status. Raises `Refused(NOT_FOUND)`."""
        return await self.get(PARTY, PARTY.key(party_id), f"party {party_id}")

    async def parties(self) -> list[Row[Party]]:
        """All parties, in order of their ids."""
        return await self.rows(
            PARTY,
            lambda node, token: PartyServiceStub(node.channel).ListParties(
                party_pb.ListPartiesRequest(page_size=PAGE_ROWS, page_token=token),
                timeout=CALL_SECONDS,
            ),
        )

    async def holds(self, subject_kind: str, subject_id: str) -> Found[Holds]:
        """The holds on a subject; the value is None where there are none."""
        return await self.ledger.get(HOLD, HOLD.key(subject_kind, subject_id))

    # --- receipts --------------------------------------------------------------------------------

    async def report_receipt(
        self,
        receipt_id: str,
        owner: str,
        goods_code: str,
        quantity: int,
        unit: str,
        quality: str,
        place: str,
        document_commitments: Sequence[bytes] = (),
    ) -> Outcome:
        """By a warehouse: goods taken in, as a draft."""
        return await self.act(
            report_receipt=pb.ReportReceipt(
                receipt_id=receipt_id,
                owner=owner,
                goods_code=goods_code,
                quantity=quantity,
                unit=unit,
                quality=quality,
                place=place,
                document_commitments=document_commitments,
            )
        )

    async def issue_receipt(self, receipt_id: str) -> Outcome:
        """By an administrator: the draft becomes a receipt."""
        return await self.act(issue_receipt=pb.IssueReceipt(receipt_id=receipt_id))

    async def reject_receipt(self, receipt_id: str, ground: str) -> Outcome:
        """By an administrator: the draft ends."""
        return await self.act(reject_receipt=pb.RejectReceipt(receipt_id=receipt_id, ground=ground))

    async def cancel_receipt(self, receipt_id: str) -> Outcome:
        """By the owner: a receipt that nothing reserves or holds ends."""
        return await self.act(cancel_receipt=pb.CancelReceipt(receipt_id=receipt_id))

    async def receipt(self, receipt_id: str) -> Found[Receipt]:
        """A receipt. Raises `Refused(NOT_FOUND)`."""
        return await self.get(RECEIPT, RECEIPT.key(receipt_id), f"receipt {receipt_id}")

    async def receipts(self) -> list[Row[Receipt]]:
        """All receipts, in order of their ids."""
        return await self.rows(
            RECEIPT,
            lambda node, token: ReceiptServiceStub(node.channel).ListReceipts(
                receipt_pb.ListReceiptsRequest(page_size=PAGE_ROWS, page_token=token),
                timeout=CALL_SECONDS,
            ),
        )

    # --- cash ------------------------------------------------------------------------------------

    async def deposit_cash(self, party: str, currency: str, amount: int, reference: str) -> Outcome:
        """By a bank: money it received for a party."""
        return await self.act(
            deposit_cash=pb.DepositCash(
                party=party, currency=currency, amount=amount, reference=reference
            )
        )

    async def withdraw_cash(self, bank: str, currency: str, amount: int, reference: str) -> Outcome:
        """By a party: money back from the bank that issued it."""
        return await self.act(
            withdraw_cash=pb.WithdrawCash(
                bank=bank, currency=currency, amount=amount, reference=reference
            )
        )

    async def pay_cash(self, payee: str, currency: str, amount: int, reference: str) -> Outcome:
        """By the payer: free money to another party."""
        return await self.act(
            pay_cash=pb.PayCash(payee=payee, currency=currency, amount=amount, reference=reference)
        )

    async def cash(self, party: str, currency: str) -> Found[CashAccount]:
        """A party's money in a currency. Raises `Refused(NOT_FOUND)` where it never had any."""
        what = f"account of {party} in {currency}"
        return await self.get(CASH, CASH.key(party, currency), what)

    async def cash_accounts(self, party: str = "") -> list[Row[CashAccount]]:
        """All accounts of a party, or of everybody; `parts` are party and currency."""
        return await self.rows(
            CASH,
            lambda node, token: CashServiceStub(node.channel).ListCashAccounts(
                cash_pb.ListCashAccountsRequest(
                    party_id=party, page_size=PAGE_ROWS, page_token=token
                ),
                timeout=CALL_SECONDS,
            ),
            *([party, ""] if party else []),
        )

    # --- documents -------------------------------------------------------------------------------

    async def record_document(
        self,
        document_id: str,
        kind: str,
        commitment: bytes,
        sealed_key_data: bytes,
        sealed_content_key: bytes,
        subject: str = "",
    ) -> Outcome:
        """By any party: a salted commitment, and key data that only the reader set can open."""
        return await self.act(
            record_document=pb.RecordDocument(
                document_id=document_id,
                kind=kind,
                commitment=commitment,
                sealed_key_data=sealed_key_data,
                sealed_content_key=sealed_content_key,
                subject=subject,
            )
        )

    async def document(self, owner: str, document_id: str) -> Found[Document]:
        """A recorded document. Raises `Refused(NOT_FOUND)`."""
        what = f"document {document_id} of {owner}"
        return await self.get(DOCUMENT, DOCUMENT.key(owner, document_id), what)

    async def documents(self, owner: str = "") -> list[Row[Document]]:
        """All documents of a party, or of everybody."""
        return await self.rows(
            DOCUMENT,
            lambda node, token: DocumentServiceStub(node.channel).ListDocuments(
                document_pb.ListDocumentsRequest(
                    party_id=owner, page_size=PAGE_ROWS, page_token=token
                ),
                timeout=CALL_SECONDS,
            ),
            *([owner, ""] if owner else []),
        )

    # --- fees ------------------------------------------------------------------------------------

    async def fee_schedule(self) -> ScheduleInForce:
        """The fee schedule the next block is judged by, proven; version 0 is the genesis's."""
        found = await self.version_in_force(FEE_SCHEDULE, PLATFORM_FEES)
        return schedule_of(found.version, (await self.ledger.genesis()).parameters)

    # --- the policy ------------------------------------------------------------------------------

    async def policy(self) -> PolicyInForce | None:
        """The policy of grades the next block is judged by, proven; None: everything is open."""
        row = (await self.version_in_force(POLICY_TABLE, CREDIT_PERMISSIONS)).version
        return None if row is None else policy_of(row)

    # --- books -----------------------------------------------------------------------------------

    async def trial_balance(self) -> ProvenTrialBalance:
        """Both sides of the books, from every proven row at one final height.

        One node alone can leave rows out, but then both sides differ. Raises
        `Refused(HEIGHT_NOT_KEPT)` where the chain moves on faster than the rows can be read.
        """
        issuances = await self.rows(
            ISSUANCE,
            lambda node, token: CashServiceStub(node.channel).ListIssuances(
                cash_pb.ListIssuancesRequest(page_size=PAGE_ROWS, page_token=token),
                timeout=CALL_SECONDS,
            ),
        )
        if not issuances:  # no money was ever issued
            return ProvenTrialBalance(self.ledger.seen_height, {})
        height = issuances[0].block.height
        accounts = await self.rows(
            CASH,
            lambda node, token: CashServiceStub(node.channel).ListCashAccounts(
                cash_pb.ListCashAccountsRequest(
                    page_size=PAGE_ROWS, page_token=token, at_height=height
                ),
                timeout=CALL_SECONDS,
            ),
        )
        pots = await self.rows(
            POT,
            lambda node, token: CashServiceStub(node.channel).ListClaims(
                cash_pb.ListClaimsRequest(page_size=PAGE_ROWS, page_token=token, at_height=height),
                timeout=CALL_SECONDS,
            ),
        )
        heights = {row.block.height for row in issuances}
        heights |= {row.block.height for row in accounts} | {row.block.height for row in pots}
        if heights != {height}:
            raise Refused(CommonReason.STALE_ANSWER, "the lists are of different heights")
        balances = trial_balance(
            ((row.parts[1], row.value) for row in accounts),
            (row.value for row in pots),
            ((row.parts[0], row.value) for row in issuances),
        )
        return ProvenTrialBalance(height, balances)

    async def statement(
        self, party: str, currency: str, from_height: int = 1, to_height: int = 0
    ) -> Statement:
        """A party's statement over final blocks (0: up to the newest), proven.

        Every block from `from_height` on is read whole, up to one whose state proves the balances.
        A party that is shown no whole blocks has its own events of all blocks from the first one
        on: they lead from nothing to the balances. Raises `Refused`: NOT_FOUND where the party
        never had money here, INVALID_ARGUMENT, PERMISSION_DENIED.
        """
        cash = await self.ledger.get(CASH, CASH.key(party, currency), min_height=to_height)
        issued = await self.ledger.get(
            ISSUANCE, ISSUANCE.key(currency, party), min_height=to_height
        )
        if cash.value is None and issued.value is None:
            message = f"{party} has no account in {currency} (proven at {cash.block.height})"
            raise Refused(CommonReason.NOT_FOUND, message)
        until = to_height or cash.block.height
        if not 1 <= from_height <= until:
            message = f"from block {from_height} to {until} there is nothing to state"
            raise Refused(CommonReason.INVALID_ARGUMENT, message)
        proven = balances_of(
            cash.value or CashAccount(0, 0),
            cash.block.height,
            issued.value or Issuance(0, 0),
            issued.block.height,
        )
        last = max(cash.block.height, issued.block.height)
        try:
            blocks = await self._journal(from_height, last)
        except Refused as refused:
            if refused.reason is not CommonReason.PERMISSION_DENIED:
                raise
            own = await self._own_journal(last)
            stated = statement_of(party, currency, proven, own, from_height, until)
            return stated._replace(complete=False)
        return statement_of(party, currency, proven, blocks, from_height, until)

    async def _journal(self, from_height: int, to_height: int) -> list[JournalBlock]:
        """Every event of final blocks, some blocks read ahead: none can be left out."""
        found: list[JournalBlock] = []
        for start in range(from_height, to_height + 1, READ_AHEAD_BLOCKS):
            wanted = range(start, min(start + READ_AHEAD_BLOCKS, to_height + 1))
            for block in await asyncio.gather(*(self.ledger.block(one) for one in wanted)):
                events = [leaf for leaf in block.leaves if isinstance(leaf, Event)]
                header = block.final.header
                found.append(JournalBlock(header.height, header.time_unix_ms, events))
        return found

    async def _own_journal(self, to_height: int) -> list[JournalBlock]:
        """Of all final blocks what this caller may see of the journal."""
        found: list[JournalBlock] = []
        async for block in self.ledger.watch_blocks(1, ("journal",)):
            events = [one.leaf for one in block.leaves if isinstance(one.leaf, Event)]
            header = block.final.header
            found.append(JournalBlock(header.height, header.time_unix_ms, events))
            if header.height >= to_height:
                break
        return found

    # --- what trades cost ------------------------------------------------------------------------

    async def trade_invoice(self, transfer_id: bytes) -> Found[TradeInvoice]:
        """What a settled trade cost. Raises `Refused(NOT_FOUND)`."""
        name = transfer_id.hex()
        return await self.get(TRADE_INVOICE, TRADE_INVOICE.key(name), f"settled trade {name}")

    async def trade_invoices(self) -> list[Row[TradeInvoice]]:
        """What all settled trades cost, in order of their transfers."""
        return await self.rows(
            TRADE_INVOICE,
            lambda node, token: CashServiceStub(node.channel).ListTradeInvoices(
                cash_pb.ListTradeInvoicesRequest(page_size=PAGE_ROWS, page_token=token),
                timeout=CALL_SECONDS,
            ),
        )

    async def request_exit(self, receipt_id: str, until_unix_ms: int) -> Outcome:
        """By the holder of the whole lot: ask for the goods of a receipt, until a moment."""
        return await self.act(
            request_exit=pb.RequestExit(receipt_id=receipt_id, until_unix_ms=until_unix_ms)
        )

    async def approve_exit(self, receipt_id: str, holder: str) -> Outcome:
        """By an administrator of another firm: the holder may take the goods out."""
        return await self.act(approve_exit=pb.ApproveExit(receipt_id=receipt_id, holder=holder))

    async def reject_exit(self, receipt_id: str, holder: str) -> Outcome:
        """By an administrator of another firm: the goods stay."""
        return await self.act(reject_exit=pb.RejectExit(receipt_id=receipt_id, holder=holder))

    async def withdraw_exit(self, receipt_id: str) -> Outcome:
        """By the holder: the request is taken back."""
        return await self.act(withdraw_exit=pb.WithdrawExit(receipt_id=receipt_id))

    async def exit_request(self, receipt_id: str, holder: str) -> Found[ExitRequest]:
        """A party's newest request for the goods of a receipt. Raises `Refused(NOT_FOUND)`."""
        return await self.get(
            EXIT_REQUEST, EXIT_REQUEST.key(receipt_id, holder), f"exit of {receipt_id} by {holder}"
        )

    async def lineage(self, receipt_id: str) -> Found[Lineage]:
        """What a receipt was made of; the value is None where its warehouse reported it."""
        return await self.ledger.get(LINEAGE, LINEAGE.key(receipt_id))

    async def storage_fee(self, receipt: Receipt, currency: str, until_unix_ms: int) -> StorageFee:
        """What is due where the goods leave by a moment, by the schedule in force now.

        Raises `Refused(GOODS_WITHOUT_VALUE)`.
        """
        storage = (await self.ledger.get(STORAGE, STORAGE.key(receipt.receipt_id))).value
        since = receipt.reported_unix_ms if storage is None else storage.since_unix_ms
        valued = await self.ledger.get(VALUATION, VALUATION.key(receipt.receipt_id))
        worth = worth_by(valued.value)
        return fee_of(await self.fee_schedule(), worth, since, currency, until_unix_ms)

"""The part of the business client that watches goods: events, handovers, incidents, delivery.

head = await books.goods_head("coil-7")
await books.by(clerk).post_event(GoodsEvent("coil-7", head.count + 1, "stock-take", ...))
await books.by(clerk).counter_report("coil-7", "sensor-alarm-4", sha256(letter))
"""

from __future__ import annotations

from collections.abc import Sequence

from bizchain.contracts.applications.keys import APPLICATION
from bizchain.contracts.applications.types import AssetApplication
from bizchain.contracts.incidents.keys import CASE, LOSS, LOSS_WITHDRAWAL
from bizchain.contracts.incidents.types import Case, Loss, LossWithdrawal
from bizchain.contracts.logistics.keys import GOODS_EVENT, HANDOVER, HEAD
from bizchain.contracts.logistics.queries import first_head
from bizchain.contracts.logistics.types import GoodsEvent, Handover, Head
from bizchain.contracts.receipts.keys import CARVED, DELIVERY, RECEIPT
from bizchain.contracts.receipts.types import Delivery
from bizchain.contracts.valuations.keys import VALUATION
from bizchain.contracts.valuations.types import Valuation
from bizchain.v1 import incident_service_pb2 as incident_pb
from bizchain.v1 import logistics_service_pb2 as logistics_pb
from bizchain.v1 import operation_pb2 as pb
from bizchain.v1.incident_service_pb2_grpc import IncidentServiceStub
from bizchain.v1.logistics_service_pb2_grpc import LogisticsServiceStub
from common.rpc.client import Found
from common.rpc.typed import CALL_SECONDS, PAGE_ROWS, Row, TypedClient
from common.rpc.verifier import Outcome

__all__ = ["GoodsClient"]


class GoodsClient(TypedClient):
    """Acts on goods and reads what is seen of them."""

    # --- goods -----------------------------------------------------------------------------------

    async def post_event(self, event: GoodsEvent) -> Outcome:
        """By the warehouse or whoever has custody: what was seen, with `named_hash` before it.

        A stock-take also by an administrator, while the warehouse is closed or suspended.
        """
        return await self.act(
            post_event=pb.PostEvent(
                receipt_id=event.receipt_id,
                kind=event.kind,
                event_unix_ms=event.event_unix_ms,
                place=event.place,
                quantity=event.quantity,
                ssccs=event.ssccs,
                alarm=event.alarm,
                previous_hash=event.named_hash,
                evidence_hash=event.evidence_hash,
            )
        )

    async def judge_overdue(self, receipt_id: str) -> Outcome:
        """By anybody: the receipt is held where its goods ought to have been counted by now."""
        return await self.act(judge_overdue=pb.JudgeOverdue(receipt_id=receipt_id))

    async def propose_handover(
        self,
        receipt_id: str,
        receiver: str,
        place: str,
        quantity: int,
        deadline_unix_ms: int,
        evidence_hash: bytes,
        ssccs: Sequence[str] = (),
    ) -> Outcome:
        """By whoever has custody: the goods are offered to a warehouse or carrier."""
        return await self.act(
            propose_handover=pb.ProposeHandover(
                receipt_id=receipt_id,
                receiver=receiver,
                place=place,
                quantity=quantity,
                ssccs=ssccs,
                deadline_unix_ms=deadline_unix_ms,
                evidence_hash=evidence_hash,
            )
        )

    async def accept_handover(self, receipt_id: str, number: int) -> Outcome:
        """By the receiver: the goods are with it."""
        operation = pb.AcceptHandover(receipt_id=receipt_id, number=number)
        return await self.act(accept_handover=operation)

    async def decline_handover(self, receipt_id: str, number: int) -> Outcome:
        """By the receiver or the giver: the offer ends."""
        operation = pb.DeclineHandover(receipt_id=receipt_id, number=number)
        return await self.act(decline_handover=operation)

    async def goods_head(self, receipt_id: str) -> Head:
        """Where the events of a receipt stand, proven. Raises `Refused(NOT_FOUND)`."""
        found = await self.ledger.get(HEAD, HEAD.key(receipt_id))
        if found.value is not None:
            return found.value
        what = f"receipt {receipt_id}"
        receipt = (await self.get(RECEIPT, RECEIPT.key(receipt_id), what)).value
        assert receipt is not None, "a found receipt has a value"
        carved = (await self.ledger.get(CARVED, CARVED.key(receipt_id))).value
        return first_head(receipt, 0 if carved is None else carved.quantity)

    async def goods_events(self, receipt_id: str) -> list[Row[GoodsEvent]]:
        """The newest events of a receipt, oldest first."""
        return await self.rows(
            GOODS_EVENT,
            lambda node, token: LogisticsServiceStub(node.channel).ListGoodsEvents(
                logistics_pb.ListGoodsEventsRequest(
                    receipt_id=receipt_id, page_size=PAGE_ROWS, page_token=token
                ),
                timeout=CALL_SECONDS,
            ),
            receipt_id,
            "",
        )

    async def handover(self, receipt_id: str) -> Found[Handover]:
        """The newest handover of a receipt's goods. Raises `Refused(NOT_FOUND)`."""
        return await self.get(HANDOVER, HANDOVER.key(receipt_id), f"handover of {receipt_id}")

    # --- incidents and delivery ------------------------------------------------------------------

    async def counter_report(self, receipt_id: str, case_id: str, evidence_hash: bytes) -> Outcome:
        """By the receipt's warehouse, or an administrator where it is not active: the answer."""
        operation = pb.CounterReport(
            receipt_id=receipt_id, case_id=case_id, evidence_hash=evidence_hash
        )
        return await self.act(counter_report=operation)

    async def approve_counter_report(
        self, receipt_id: str, case_id: str, event_number: int, evidence_hash: bytes
    ) -> Outcome:
        """By an administrator: that very answer to that very alarm holds, the case is lifted.

        By a regulator as well where not the warehouse answered.
        """
        operation = pb.ApproveCounterReport(
            receipt_id=receipt_id,
            case_id=case_id,
            event_number=event_number,
            evidence_hash=evidence_hash,
        )
        return await self.act(approve_counter_report=operation)

    async def reject_counter_report(
        self, receipt_id: str, case_id: str, event_number: int, evidence_hash: bytes
    ) -> Outcome:
        """By one of those who would have to approve: the case stays open."""
        operation = pb.RejectCounterReport(
            receipt_id=receipt_id,
            case_id=case_id,
            event_number=event_number,
            evidence_hash=evidence_hash,
        )
        return await self.act(reject_counter_report=operation)

    async def incidents(self, receipt_id: str = "") -> list[Row[Case]]:
        """All cases of a receipt, or of every one."""
        return await self.rows(
            CASE,
            lambda node, token: IncidentServiceStub(node.channel).ListIncidents(
                incident_pb.ListIncidentsRequest(
                    receipt_id=receipt_id, page_size=PAGE_ROWS, page_token=token
                ),
                timeout=CALL_SECONDS,
            ),
            *([receipt_id, ""] if receipt_id else []),
        )

    async def report_loss(self, receipt_id: str, quantity: int, evidence_hash: bytes) -> Outcome:
        """By the receipt's warehouse: goods are gone."""
        operation = pb.ReportLoss(
            receipt_id=receipt_id, quantity=quantity, evidence_hash=evidence_hash
        )
        return await self.act(report_loss=operation)

    async def confirm_loss(self, receipt_id: str, quantity: int, evidence_hash: bytes) -> Outcome:
        """By an administrator: exactly what was reported is gone, and worth nothing."""
        operation = pb.ConfirmLoss(
            receipt_id=receipt_id, quantity=quantity, evidence_hash=evidence_hash
        )
        return await self.act(confirm_loss=operation)

    async def loss(self, receipt_id: str) -> Found[Loss]:
        """The newest loss of a receipt's goods. Raises `Refused(NOT_FOUND)`."""
        return await self.get(LOSS, LOSS.key(receipt_id), f"loss of {receipt_id}")

    async def withdraw_loss(self, receipt_id: str, evidence_hash: bytes) -> Outcome:
        """By the warehouse, or an administrator where it is not active: nothing is gone after all.

        Of what is not confirmed only.
        """
        operation = pb.WithdrawLoss(receipt_id=receipt_id, evidence_hash=evidence_hash)
        return await self.act(withdraw_loss=operation)

    async def approve_loss_withdrawal(
        self, receipt_id: str, quantity: int, report_hash: bytes, evidence_hash: bytes
    ) -> Outcome:
        """By an administrator: on that very evidence that very loss is taken back.

        By a regulator as well where not the warehouse takes it back.
        """
        operation = pb.ApproveLossWithdrawal(
            receipt_id=receipt_id,
            quantity=quantity,
            report_hash=report_hash,
            evidence_hash=evidence_hash,
        )
        return await self.act(approve_loss_withdrawal=operation)

    async def reject_loss_withdrawal(
        self, receipt_id: str, quantity: int, report_hash: bytes, evidence_hash: bytes
    ) -> Outcome:
        """By one of those who would have to approve: the loss stays reported."""
        operation = pb.RejectLossWithdrawal(
            receipt_id=receipt_id,
            quantity=quantity,
            report_hash=report_hash,
            evidence_hash=evidence_hash,
        )
        return await self.act(reject_loss_withdrawal=operation)

    async def loss_withdrawal(self, receipt_id: str) -> Found[LossWithdrawal]:
        """Who takes the newest loss back, or did; without a value where nobody does."""
        return await self.ledger.get(LOSS_WITHDRAWAL, LOSS_WITHDRAWAL.key(receipt_id))

    async def propose_delivery(
        self, receipt_id: str, deadline_unix_ms: int, evidence_hash: bytes
    ) -> Outcome:
        """By the receipt's warehouse: goods that were let out are offered to their owner."""
        operation = pb.ProposeDelivery(
            receipt_id=receipt_id, deadline_unix_ms=deadline_unix_ms, evidence_hash=evidence_hash
        )
        return await self.act(propose_delivery=operation)

    async def accept_delivery(self, receipt_id: str, evidence_hash: bytes) -> Outcome:
        """By the owner: the goods are taken, the receipt ends."""
        operation = pb.AcceptDelivery(receipt_id=receipt_id, evidence_hash=evidence_hash)
        return await self.act(accept_delivery=operation)

    async def decline_delivery(self, receipt_id: str) -> Outcome:
        """By the owner or the warehouse: the offer ends."""
        return await self.act(decline_delivery=pb.DeclineDelivery(receipt_id=receipt_id))

    async def delivery(self, receipt_id: str) -> Found[Delivery]:
        """The newest delivery of a receipt's goods. Raises `Refused(NOT_FOUND)`."""
        return await self.get(DELIVERY, DELIVERY.key(receipt_id), f"delivery of {receipt_id}")

    # --- valuations ------------------------------------------------------------------------------

    async def value_receipt(
        self,
        receipt_id: str,
        amount: int,
        currency: str,
        *,
        quantity: int,
        method: str,
        source: str,
        valid_until_unix_ms: int,
        evidence_hash: bytes,
    ) -> Outcome:
        """By an appraiser: what the whole receipt is worth, in minor units, and until when.

        `quantity` is what was valued. Refused where the receipt is for another one by then.
        """
        operation = pb.ValueReceipt(
            receipt_id=receipt_id,
            amount=amount,
            currency=currency,
            quantity=quantity,
            method=method,
            source=source,
            valid_until_unix_ms=valid_until_unix_ms,
            evidence_hash=evidence_hash,
        )
        return await self.act(value_receipt=operation)

    async def valuation(self, receipt_id: str) -> Found[Valuation]:
        """The newest valuation of a receipt. Raises `Refused(NOT_FOUND)`."""
        return await self.get(VALUATION, VALUATION.key(receipt_id), f"valuation of {receipt_id}")

    # --- applications ----------------------------------------------------------------------------

    async def apply_for_asset(self, receipt_id: str, until_unix_ms: int) -> Outcome:
        """By the owner: the goods of an issued receipt are to become a lot."""
        operation = pb.ApplyForAsset(receipt_id=receipt_id, until_unix_ms=until_unix_ms)
        return await self.act(apply_for_asset=operation)

    async def confirm_goods(
        self, receipt_id: str, quantity: int, unit: str, place: str, quality: str
    ) -> Outcome:
        """By the warehouse: what it finds. Where the receipt differs, that is a rejection."""
        operation = pb.ConfirmGoods(
            receipt_id=receipt_id, quantity=quantity, unit=unit, place=place, quality=quality
        )
        return await self.act(confirm_goods=operation)

    async def propose_application(self, receipt_id: str) -> Outcome:
        """By an administrator, the maker: with the valuation that holds."""
        operation = pb.ProposeApplication(receipt_id=receipt_id)
        return await self.act(propose_application=operation)

    async def approve_application(self, receipt_id: str) -> Outcome:
        """By an administrator, another user than the maker."""
        operation = pb.ApproveApplication(receipt_id=receipt_id)
        return await self.act(approve_application=operation)

    async def reject_application(self, receipt_id: str, ground: str) -> Outcome:
        """By an administrator, with a ground."""
        operation = pb.RejectApplication(receipt_id=receipt_id, ground=ground)
        return await self.act(reject_application=operation)

    async def withdraw_application(self, receipt_id: str) -> Outcome:
        """By the applicant."""
        operation = pb.WithdrawApplication(receipt_id=receipt_id)
        return await self.act(withdraw_application=operation)

    async def application(self, receipt_id: str) -> Found[AssetApplication]:
        """The newest application of a receipt. Raises `Refused(NOT_FOUND)`."""
        key = APPLICATION.key(receipt_id)
        return await self.get(APPLICATION, key, f"application of {receipt_id}")

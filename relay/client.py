"""The client of a relay: hand a transfer over, wait for its end, ask why it waits.

    async with RelayClient("127.0.0.1:17408", credential, authority_pem) as relay:
        transfer_id = await relay.start_transfer(package_of(agreement, consents))
        transfer = await relay.wait_transfer(transfer_id, seconds=30)
        dossier = await relay.dossier(transfer_id)

A relay is not believed, it is used: what a transfer did is proven by the chains, and a dossier by
itself. A relay that is away is asked again until the time is over; every call can be repeated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, TypeVar

from common.crypto.pki import Credential
from common.errors import CommonReason, Refused
from common.rpc.channels import open_channel
from common.rpc.status import refusals
from relay.v1 import relay_service_pb2 as pb
from relay.v1.relay_service_pb2_grpc import RelayServiceStub

__all__ = ["RelayClient"]

A = TypeVar("A")

CALL_SECONDS = 5.0
WAIT_CALL_SECONDS = 30.0
ANSWER_SECONDS = 20.0
PAUSE_SECONDS = 0.1
PAGE_ROWS = 500
PAGES_MAX = 200


class RelayClient:
    """Calls to one relay. Use as an asynchronous context, inside one event loop."""

    def __init__(self, address: str, credential: Credential, authority_pem: bytes) -> None:
        self.address = address
        self._channel = open_channel(address, credential, authority_pem)
        self._relay = RelayServiceStub(self._channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._channel.close()

    async def start_transfer(self, package: pb.TransferPackage) -> bytes:
        """Hand a transfer over, or more of one. Durable in the relay's journal when it returns.

        Returns the transfer id. Raises `Refused` for a package that no chain could accept.
        """
        request = pb.StartTransferRequest(package=package)
        answer = await self._ask(
            lambda: self._relay.StartTransfer(request, timeout=CALL_SECONDS), ANSWER_SECONDS
        )
        return answer.transfer_id

    async def transfer(self, transfer_id: bytes) -> pb.Transfer:
        """Where a transfer stands on both chains."""
        request = pb.GetTransferRequest(transfer_id=transfer_id)
        answer = await self._ask(
            lambda: self._relay.GetTransfer(request, timeout=CALL_SECONDS), ANSWER_SECONDS
        )
        return answer.transfer

    async def transfers(self, *, open_only: bool = False) -> list[pb.Transfer]:
        """The transfers the relay knows, newest first."""
        found: list[pb.Transfer] = []
        token = ""
        for _ in range(PAGES_MAX):
            request = pb.ListTransfersRequest(
                open_only=open_only, page_size=PAGE_ROWS, page_token=token
            )
            answer = await self._ask(
                lambda request=request: self._relay.ListTransfers(  # type: ignore[misc]
                    request, timeout=CALL_SECONDS
                ),
                ANSWER_SECONDS,
            )
            found += answer.transfers
            token = answer.next_page_token
            if not token:
                break
        return found

    async def wait_transfer(self, transfer_id: bytes, seconds: float) -> pb.Transfer:
        """The transfer, once it has ended on both chains.

        Raises `Refused(DEADLINE_EXCEEDED)` where it has not in time.
        """
        request = pb.WaitTransferRequest(transfer_id=transfer_id)
        answer = await self._ask(
            lambda: self._relay.WaitTransfer(request, timeout=min(seconds, WAIT_CALL_SECONDS)),
            seconds,
        )
        return answer.transfer

    async def explain(self, transfer_id: bytes) -> pb.ExplainTransferResponse:
        """What a transfer waits for, who can unblock it, and when it must have ended."""
        request = pb.ExplainTransferRequest(transfer_id=transfer_id)
        return await self._ask(
            lambda: self._relay.ExplainTransfer(request, timeout=CALL_SECONDS), ANSWER_SECONDS
        )

    async def dossier(self, transfer_id: bytes) -> bytes:
        """Canonical dossier bytes, to be checked by `relay.dossier`."""
        request = pb.GetDossierRequest(transfer_id=transfer_id)
        answer = await self._ask(
            lambda: self._relay.GetDossier(request, timeout=CALL_SECONDS), ANSWER_SECONDS
        )
        return answer.dossier

    async def status(self) -> pb.GetStatusResponse:
        """What the relay is doing. Asked once: an operator wants to know that it is away."""
        with refusals():
            return await self._relay.GetStatus(pb.GetStatusRequest(), timeout=CALL_SECONDS)

    async def _ask(self, call: Callable[[], Awaitable[A]], seconds: float) -> A:
        """The answer, asked for again while the relay is away or has not got so far."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while True:
            try:
                with refusals():
                    async with asyncio.timeout_at(until):
                        return await call()
            except TimeoutError:
                message = f"the relay at {self.address} had no answer in {seconds:g} s"
                raise Refused(CommonReason.DEADLINE_EXCEEDED, message) from None
            except Refused as refused:
                if not refused.reason.transient or loop.time() >= until:
                    raise
            await asyncio.sleep(PAUSE_SECONDS)

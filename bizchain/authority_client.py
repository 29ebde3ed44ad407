"""The part of the books' client that is about authority: changes of parties, and grades.

    details = {"role": "buyer", "until_unix_ms": until}
    await books.by(maker).propose_party_change("grant-1", "acme", "grant_role", details)
    await books.by(checker).approve_party_change("grant-1")
    await books.by(clerk).change_key(new_key)                  # signs for itself with both keys

Whoever signs decides what a change is: of its own firm an application, of another a proposal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from bizchain.contracts.authority.keys import CHANGE, STANDING
from bizchain.contracts.authority.operations import possession_digest
from bizchain.contracts.authority.types import PartyChange, Standing
from bizchain.contracts.grades.keys import GRADE
from bizchain.contracts.grades.types import Grade
from bizchain.v1 import authority_service_pb2 as authority_pb
from bizchain.v1 import grade_service_pb2 as grade_pb
from bizchain.v1 import operation_pb2 as pb
from bizchain.v1.authority_service_pb2_grpc import AuthorityServiceStub
from bizchain.v1.grade_service_pb2_grpc import GradeServiceStub
from common.crypto.signing import SigningKey, sign
from common.rpc.client import Found
from common.rpc.typed import CALL_SECONDS, PAGE_ROWS, Row, TypedClient
from common.rpc.verifier import Outcome

__all__ = ["AuthorityClient", "Details"]

Details: TypeAlias = Mapping[str, str | int | bytes]
"""What a change changes, by the names of the fields of its operation."""


class AuthorityClient(TypedClient):
    """Acts on parties that have joined, and reads of what they were granted."""

    # --- changes ---------------------------------------------------------------------------------

    async def propose_party_change(
        self,
        change_id: str,
        party_id: str,
        kind: str,
        details: Details | None = None,
        *,
        ground: str = "",
        documents: Sequence[bytes] = (),
    ) -> Outcome:
        """By an administrator of another firm, or by the party itself, for which it is to apply.

        `details` are those of the kind (`bizchain.contracts.authority.types.KINDS`): role,
        until_unix_ms, user_id, public_key, grade, reader.
        """
        operation = pb.ProposePartyChange(
            change_id=change_id, party_id=party_id, kind=kind, ground=ground, documents=documents
        )
        for name, value in (details or {}).items():
            setattr(operation, name, value)
        return await self.act(propose_party_change=operation)

    async def approve_party_change(self, change_id: str) -> Outcome:
        """By an administrator of another firm: takes up an application, or approves a proposal."""
        return await self.act(approve_party_change=pb.ApprovePartyChange(change_id=change_id))

    async def reject_party_change(self, change_id: str, ground: str) -> Outcome:
        """By an administrator of another firm; or by the applying party, which withdraws it."""
        return await self.act(
            reject_party_change=pb.RejectPartyChange(change_id=change_id, ground=ground)
        )

    async def object_to_party_change(self, change_id: str, ground: str) -> Outcome:
        """By any user of the party: the key that would be recovered is not lost."""
        operation = pb.ObjectToPartyChange(change_id=change_id, ground=ground)
        return await self.act(object_to_party_change=operation)

    async def complete_party_change(self, change_id: str) -> Outcome:
        """By an administrator of another firm, once the waiting time is over."""
        return await self.act(complete_party_change=pb.CompletePartyChange(change_id=change_id))

    async def change_key(self, key: SigningKey) -> Outcome:
        """By the user itself, with the old key: from the next transaction on only `key` signs."""
        possession = sign(key, possession_digest(self.ledger.chain_id, key.public_key))
        operation = pb.ChangeKey(public_key=key.public_key, possession=possession)
        return await self.act(change_key=operation)

    async def reject_party(self, party_id: str, ground: str) -> Outcome:
        """By an administrator: a proposed party ends; its id, keys and identifiers are free."""
        return await self.act(reject_party=pb.RejectParty(party_id=party_id, ground=ground))

    async def order_freeze(
        self, subject_kind: str, subject_id: str, case_id: str, legal_basis: str, ground: str
    ) -> Outcome:
        """By a regulator: a hold that names the law it rests on. Lifted with `lift_hold`."""
        return await self.act(
            order_freeze=pb.OrderFreeze(
                subject_kind=subject_kind,
                subject_id=subject_id,
                case_id=case_id,
                legal_basis=legal_basis,
                ground=ground,
            )
        )

    async def change(self, change_id: str) -> Found[PartyChange]:
        """A change, in any state; `join-PARTY` is a party's application to join."""
        return await self.get(CHANGE, CHANGE.key(change_id), f"change {change_id}")

    async def changes(self) -> list[Row[PartyChange]]:
        """All changes, in order of their ids."""
        return await self.rows(
            CHANGE,
            lambda node, token: AuthorityServiceStub(node.channel).ListChanges(
                authority_pb.ListChangesRequest(page_size=PAGE_ROWS, page_token=token),
                timeout=CALL_SECONDS,
            ),
        )

    async def read_grants(self, reader: str = "") -> list[Row[Standing]]:
        """What a regulator, or any, was granted to read; `parts` are `reads`, reader, party."""
        return await self.rows(
            STANDING,
            lambda node, token: AuthorityServiceStub(node.channel).ListReadGrants(
                authority_pb.ListReadGrantsRequest(
                    reader=reader, page_size=PAGE_ROWS, page_token=token
                ),
                timeout=CALL_SECONDS,
            ),
            *(["reads", reader, ""] if reader else ["reads", ""]),
        )

    # --- grades ----------------------------------------------------------------------------------

    async def grade(self, party_id: str) -> Found[Grade]:
        """The grade last set of a party. Raises `Refused(NOT_FOUND)` where none ever was."""
        return await self.get(GRADE, GRADE.key(party_id), f"grade of {party_id}")

    async def grades(self) -> list[Row[Grade]]:
        """All grades that were set, in order of the parties."""
        return await self.rows(
            GRADE,
            lambda node, token: GradeServiceStub(node.channel).ListGrades(
                grade_pb.ListGradesRequest(page_size=PAGE_ROWS, page_token=token),
                timeout=CALL_SECONDS,
            ),
        )

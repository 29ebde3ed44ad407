"""Those who lie: a relay that forges, repeats and leaks; a node that says what is not so.

Neither holds power, so whatever they do, the oracle must find nothing. One node of a chain may lie;
of relays any number.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from google.protobuf.message import Message
from msgspec.structs import replace

from common.crypto.merkle import MerkleTree
from common.crypto.signing import SigningKey, sign
from common.encoding import decode_trusted, encode
from common.errors import CommonReason, Refused, TransferReason
from common.ledger.block import Block, Event, EventKind, Header, header_hash
from common.ledger.certificate import Certificate, HeaderVote, VoteSignature, vote_digest
from common.node.frames import (
    CertificateReply,
    Frame,
    Item,
    SignedVote,
    decode_frame,
    encode_frame,
)
from common.raft.messages import Append, AppendReply, Entry, PreVoteReply, VoteReply
from common.rpc.verifier import Outcome
from common.testing.cluster import Cluster, SimulatedNode
from common.testing.world import World
from common.transfer.machine import RECORD_VERSION, Role, TransferRecord, TransferState
from common.transfer.terms import read_terms, transfer_id_of
from common.v1 import ledger_service_pb2 as service_pb
from common.v1 import transfer_pb2 as pb
from relay.effects import Operation
from relay.v1.relay_service_pb2 import TransferPackage
from tests.simulation.founding import ASSET, BUSINESS, START_UNIX_MS, key_of
from tests.simulation.oracle import Oracle
from tests.simulation.places import WatchedNode
from tests.simulation.relays import Line
from tests.simulation.service import NodeService, Reply, Submitted, ViewAnswer

__all__ = ["LYING_WAYS", "LyingNode", "LyingRelay"]

SEEN_MAX = 300
ATTACK_US = 600_000
DOOR_LIES = (CommonReason.SIGNER_UNKNOWN, CommonReason.EXPIRED)
FORGED_HEIGHTS_AHEAD = 3
"""A forged header claims to be this far ahead."""


class LyingRelay:
    """Sends to both chains what it made of all that it has ever seen."""

    def __init__(self, name: str, world: World, lines: Sequence[Line], oracle: Oracle) -> None:
        self.name = name
        self._world = world
        self._random = world.random
        self._lines = {line.verifier.chain: line for line in lines}
        self._oracle = oracle
        self._seen: deque[Operation] = deque(maxlen=SEEN_MAX)
        self._packages: list[TransferPackage] = []
        self._attacks: tuple[Callable[[], Operation | None], ...] = (
            self._replay,
            self._spoil,
            self._swap_proofs,
            self._forge_header,
            self._forge_record,
            self._use_secret,
            self._guess_secret,
            self._expire_early,
            self._shuffle_messages,
        )

    def start(self) -> None:
        self._world.after(ATTACK_US, self._attack)

    def overhear(self, operation: Operation) -> None:
        """Another relay sent this: blocks are public."""
        self._seen.append(operation)

    def receive_package(self, package: TransferPackage) -> None:
        """A client trusts this relay."""
        self._packages.append(package)

    def _attack(self) -> None:
        self._world.after(ATTACK_US, self._attack)
        if not self._seen:
            return
        operation = self._random.choice(self._attacks)()
        if operation is None:
            return
        line = self._lines[self._random.choice((BUSINESS, ASSET))]
        now_unix_ms = START_UNIX_MS + self._world.now_us // 1_000
        composed = line.compose(operation, self._random.randbytes(16), now_unix_ms)
        self._oracle.counts["attacks of a relay"] += 1
        line.submitter.submit([composed.raw], [composed.transaction_id], self._answered, tries=2)

    def _answered(self, answer: list[Outcome] | Refused) -> None:
        if not isinstance(answer, Refused) and answer[0].reason is not None:
            self._oracle.counts["attacks refused by a chain"] += 1

    # --- attacks ---------------------------------------------------------------------------------

    def _replay(self) -> Operation:
        return self._random.choice(self._seen)

    def _spoil(self) -> Operation:
        """Change one byte of one field."""
        operation = self._copy(self._random.choice(self._seen))
        fields = [
            (message, field.name)
            for message in _messages_in(operation.payload)
            for field, value in message.ListFields()
            if isinstance(value, bytes) and value
        ]
        message, name = self._random.choice(fields)
        value = bytearray(getattr(message, name))
        value[self._random.randrange(len(value))] ^= 1 << self._random.randrange(8)
        setattr(message, name, bytes(value))
        return operation

    def _swap_proofs(self) -> Operation | None:
        """The proof of something else: an earlier state, another transfer, a message."""
        proven = [one for one in self._seen if getattr(one.payload, "proof", None)]
        if len(proven) < 2:
            return None
        one, other = self._random.sample(proven, 2)
        operation = self._copy(one)
        operation.payload.proof.CopyFrom(other.payload.proof)  # type: ignore[attr-defined]
        return operation

    def _forge_header(self) -> Operation | None:
        """A header nobody signed, with signatures of something else, too few, or its own."""
        imports = [one for one in self._seen if isinstance(one.payload, pb.ImportHeader)]
        if not imports:
            return None
        payload = self._random.choice(imports).payload
        assert isinstance(payload, pb.ImportHeader)
        header = decode_trusted(Header, payload.header)
        certificate = decode_trusted(Certificate, payload.certificate)
        match self._random.randrange(4):
            case 0:
                header = replace(header, event_root=self._random.randbytes(32))
            case 1:
                certificate = replace(certificate, signatures=certificate.signatures[:1] * 3)
            case 2:
                certificate = replace(certificate, signatures=certificate.signatures[:2])
            case _:
                header = replace(header, height=header.height + FORGED_HEIGHTS_AHEAD)
                certificate = self._own_certificate(header, certificate)
        forged = pb.ImportHeader(header=encode(header), certificate=encode(certificate))
        return Operation("import_header", forged)

    def _own_certificate(self, header: Header, like: Certificate) -> Certificate:
        """Signed by a key of its own, in the names of the nodes."""
        key, hashed = key_of(self.name), header_hash(header)
        votes = [
            HeaderVote(header.chain_id, 0, 0, header.height, one.term, one.node_id, hashed)
            for one in like.signatures
        ]
        signatures = tuple(
            VoteSignature(vote.node_id, vote.term, sign(key, vote_digest(vote))) for vote in votes
        )
        return Certificate(0, 0, header.height, hashed, signatures)

    def _forge_record(self) -> Operation:
        """A decision that nobody took, in a tree of its own, under a header that exists."""
        seen = self._random.choice(self._seen)
        transfer_id = getattr(seen.payload, "transfer_id", b"") or self._random.randbytes(32)
        if getattr(seen.payload, "terms", b""):
            terms = seen.payload.terms  # type: ignore[attr-defined]
            transfer_id = transfer_id_of(read_terms(terms))
        state = self._random.choice((TransferState.COMMITTED, TransferState.ABORTED))
        record = TransferRecord(
            RECORD_VERSION, transfer_id, "X2", Role.DECIDER, state.value, "", b"", 1, b""
        )
        leaf = encode(Event(0, EventKind.TRANSFER, transfer_id.hex(), encode(record)))
        heights = [known.height for known in self._proofs()]
        proof = pb.EventProof(
            height=self._random.choice([1, *heights]),
            leaf_index=0,
            leaf_count=1,
            leaf=leaf,
            path=MerkleTree([leaf]).path(0),
        )
        payload = pb.SettleTransfer(transfer_id=transfer_id, proof=proof)
        return Operation("settle_transfer", payload)

    def _use_secret(self) -> Operation | None:
        """Use a secret that was entrusted: too early, without proof, on the wrong chain."""
        entrusted = [package for package in self._packages if package.secret]
        if not entrusted:
            return None
        package = self._random.choice(entrusted)
        transfer_id = transfer_id_of(read_terms(package.terms))
        if self._world.chance(500):
            payload = pb.CommitTransfer(transfer_id=transfer_id, secret=package.secret)
            return Operation("commit_transfer", payload)
        proofs = self._proofs()
        forged = pb.ReserveAndCommitTransfer(
            terms=package.terms,
            opening=package.decider_opening,
            consents=package.decider_consents,
            proof=self._random.choice(proofs) if proofs else None,
            secret=package.secret,
        )
        return Operation("reserve_and_commit_transfer", forged)

    def _newest_proven(self) -> Operation | None:
        """The newest overheard attempt to reserve or to decide on the strength of a reservation."""
        kinds = (pb.ReserveTransfer, pb.ReserveAndCommitTransfer)
        proven = (
            one
            for one in reversed(self._seen)
            if isinstance(one.payload, kinds) and one.payload.HasField("proof")
        )
        return next(proven, None)

    def _guess_secret(self) -> Operation | None:
        """Commit what was reserved a moment ago, with any bytes."""
        found = self._newest_proven()
        if found is None:
            return None
        transfer_id = transfer_id_of(read_terms(found.payload.terms))  # type: ignore[attr-defined]
        guess = self._random.randbytes(32)
        return Operation(
            "commit_transfer", pb.CommitTransfer(transfer_id=transfer_id, secret=guess)
        )

    def _expire_early(self) -> Operation | None:
        """End what was reserved a moment ago, though there is time."""
        found = self._newest_proven()
        if found is None:
            return None
        payload = found.payload
        terms, proof = payload.terms, payload.proof  # type: ignore[attr-defined]
        expire = pb.ExpireTransfer(terms=terms, proof=proof)
        return Operation("expire_transfer", expire)

    def _shuffle_messages(self) -> Operation | None:
        """Messages again, in another order, or with a gap."""
        proofs = [
            proof
            for one in self._seen
            if isinstance(one.payload, pb.ApplyMessages)
            for proof in one.payload.messages
        ]
        if not proofs:
            return None
        chosen = self._random.choices(proofs, k=self._random.randint(1, 3))
        return Operation("apply_messages", pb.ApplyMessages(messages=chosen))

    def _proofs(self) -> list[pb.EventProof]:
        """Every proof that was overheard."""
        return [
            message
            for one in self._seen
            for message in _messages_in(one.payload)
            if isinstance(message, pb.EventProof)
        ]

    @staticmethod
    def _copy(operation: Operation) -> Operation:
        payload = type(operation.payload)()
        payload.CopyFrom(operation.payload)
        return Operation(operation.kind, payload)


def _messages_in(message: Message) -> Iterable[Message]:
    """A message, and those inside it."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in value if field.is_repeated else (value,):
                yield from _messages_in(inner)


# --- a node -------------------------------------------------------------------------------------

LYING_WAYS = ("answers", "signatures", "votes", "acknowledgements", "blocks")
"""What one lying node may lie in. `blocks` hands out two logs, and blocks of a time to come."""


class LyingNode(WatchedNode):
    """A node whose operator lies in some ways. The rest of it is the real node."""

    honest = False

    def __init__(
        self,
        cluster: Cluster,
        node_id: str,
        key: SigningKey,
        oracle: Oracle,
        ways: frozenset[str],
    ) -> None:
        super().__init__(cluster, node_id, key, oracle)
        self.ways = ways

    def make_service(self) -> NodeService:
        if "answers" not in self.ways:
            return super().make_service()
        return LyingService(self.up, self._world, self.oracle)

    def stop(self, reason: str) -> None:
        """It may well meet its own lies, and stop."""
        self._world.note(self.name, f"stop {reason}")
        self.stopped_because = reason

    def send(self, receiver: str, frame: bytes) -> None:
        told = decode_frame(frame)
        items = tuple(lie for item in told.items for lie in self._lies(item))
        SimulatedNode.send(self, receiver, encode_frame(Frame(told.clock_unix_ms, items)))

    def _lies(self, item: Item) -> Iterable[Item]:
        lied = True
        match item:
            case SignedVote() if "signatures" in self.ways and self._world.chance(500):
                yield self._second_vote(item)
                if self._world.chance(500):
                    yield item
            case CertificateReply() if "signatures" in self.ways and self._world.chance(500):
                yield replace(item, certificates=tuple(map(_forged, item.certificates)))
            case VoteReply() | PreVoteReply() if "votes" in self.ways:
                yield replace(item, granted=True)
            case AppendReply() if "acknowledgements" in self.ways and self._world.chance(500):
                index = max(item.index, item.last_index) + self._world.random.randint(0, 2)
                yield replace(item, accepted=True, index=index)
            case Append() if "blocks" in self.ways and item.entries and self._world.chance(500):
                yield replace(item, entries=tuple(map(self._other_block, item.entries)))
            case _:
                lied = False
                yield item
        if lied:
            self.oracle.counts["lies of a node"] += 1

    def _second_vote(self, signed: SignedVote) -> SignedVote:
        vote = replace(signed.vote, header_hash=self._world.random.randbytes(32))
        return SignedVote(vote, sign(self._key, vote_digest(vote)))

    def _other_block(self, entry: Entry) -> Entry:
        """The same place in the log, with less in it, or later."""
        block = decode_trusted(Block, entry.data)
        ahead_ms = self._world.random.choice((0, 1, 1_500, 10_000))
        kept = block.transactions[: self._world.random.randint(0, len(block.transactions))]
        return replace(entry, data=encode(Block(block.time_unix_ms + ahead_ms, kept)))


def _forged(certificate: Certificate) -> Certificate:
    return replace(certificate, header_hash=certificate.header_hash[::-1])


class LyingService(NodeService):
    """Answers that are not so, half of the time."""

    def __init__(self, node: object, world: World, oracle: Oracle) -> None:
        super().__init__(node, world)  # type: ignore[arg-type]
        self._oracle = oracle

    def _lies(self) -> bool:
        lies = self._world.chance(500)
        if lies:
            self._oracle.counts["lies of a node"] += 1
        return lies

    def submit(self, raws: Sequence[bytes], reply: Reply) -> None:
        """Say that it took effect, with the receipt of something else; and drop it.

        Or say that it is refused, and pass it on.
        """
        height = self.node.ledger.certified_through
        if height == 0 or not self._lies():
            super().submit(raws, reply)
            return
        if self._world.chance(500):
            super().submit(raws, _nobody)
            code = self._world.random.choice(DOOR_LIES).number
            reply(Submitted([service_pb.TransactionResult(code=code) for _ in raws], {}, ""))
            return
        leaves = self.proofs.leaves(height)
        results = [
            service_pb.TransactionResult(
                code=0,
                height=height,
                receipt=self.proofs.leaf(height, 0) if leaves else pb.EventProof(height=height),
            )
            for _ in raws
        ]
        reply(Submitted(results, {height: self.proofs.certified(height)}, ""))

    def watch(self, from_height: int, reply: Reply) -> None:
        """Leave events out, or show a header nobody signed."""
        if self._lies():
            super().watch(from_height, partial(self._spoil_watch, reply))
        else:
            super().watch(from_height, reply)

    def _spoil_watch(self, reply: Reply, answer: object) -> None:
        assert isinstance(answer, list)
        if self._world.chance(500):
            reply([(block, []) for block, _ in answer])
            return
        reply([(_spoiled(block), proofs) for block, proofs in answer])

    def view(self, reply: Reply) -> None:
        """Show the light client as it never was."""
        if not self._lies():
            super().view(reply)
            return

        def spoil(answer: object) -> None:
            assert isinstance(answer, ViewAnswer)
            evidence = service_pb.Evidence()
            evidence.CopyFrom(answer.peer)
            evidence.entry.value = evidence.entry.value[::-1]
            reply(ViewAnswer(evidence, answer.acknowledged))

        super().view(spoil)

    def open_transfers(self, page_token: str, reply: Reply) -> None:
        """Nothing is open."""
        if self._lies():
            reply(service_pb.ListOpenTransfersResponse())
        else:
            super().open_transfers(page_token, reply)

    def transfers(self, transfer_ids: Iterable[bytes], reply: Reply) -> None:
        """It has met none of them."""
        if self._lies():
            unknown = Refused(TransferReason.TRANSFER_UNKNOWN, "never heard of it")
            reply([unknown for _ in transfer_ids])
        else:
            super().transfers(transfer_ids, reply)


def _nobody(_: object) -> None:
    """The client was told something else."""


def _spoiled(block: service_pb.CertifiedHeader) -> service_pb.CertifiedHeader:
    header = decode_trusted(Header, block.header)
    changed = replace(header, event_root=header.event_root[::-1])
    return service_pb.CertifiedHeader(header=encode(changed), certificate=block.certificate)

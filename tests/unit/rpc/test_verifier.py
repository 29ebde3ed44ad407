"""What a client believes is what stands under the chain id it pinned; every forgery is untrue."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest
from msgspec.structs import replace

from common.encoding import decode, encode
from common.errors import CommonReason, Reason, Refused
from common.ledger.block import Header, TransactionReceipt
from common.ledger.certificate import Certificate
from common.ledger.compose import Composed
from common.ledger.evidence import verify_follows
from common.node.node import Node
from common.node.ports import Result
from common.rpc.finals import FinalHeights
from common.rpc.reads import LedgerReads
from common.rpc.submissions import Submissions
from common.rpc.verifier import Outcome, Untrue, Verifier
from common.v1.ledger_service_pb2 import CertifiedHeader, Evidence, TransactionResult
from common.v1.transaction_pb2 import SignedTransaction
from tests.kit.certified import CertifiedLedger, certificate_of, shown
from tests.kit.tally import ACCOUNT, deposit, key_of, make_transaction, pay, units_of

KEY = ACCOUNT.key("acme")


class Scene:
    """Two blocks: acme is given 100, and pays 30 and, in vain, 500."""

    def __init__(self) -> None:
        self.chain = CertifiedLedger()
        chain_id = self.chain.chain_id
        self.given = make_transaction(chain_id, "bank", deposit("acme", 100), 1)
        self.paid = make_transaction(chain_id, "acme", pay("zeta", 30), 2)
        self.vain = make_transaction(chain_id, "acme", pay("zeta", 500), 3)
        self.chain.add(self.given)
        self.chain.add(self.paid, self.vain)
        self.verifier = Verifier(chain_id)
        self.verifier.learn_genesis(encode(self.chain.genesis))

    def result(self, composed: Composed, height: int, position: int) -> TransactionResult:
        receipt = self.chain.proofs.leaf(height, position)
        known = decode(TransactionReceipt, receipt.leaf)
        return TransactionResult(
            transaction_id=composed.transaction_id,
            code=known.code,
            height=height,
            receipt=receipt,
        )

    def evidence(self) -> Evidence:
        return LedgerReads(self.chain.ledger, self.chain.proofs).entry(KEY, 1)


def spoiled(composed: Composed) -> Composed:
    """The very body, under a signature that is none."""
    envelope = SignedTransaction.FromString(composed.raw)
    envelope.signature = bytes(64)
    return composed._replace(raw=envelope.SerializeToString())


def test_a_body_refused_for_a_signature_that_is_not_the_clients_leaves_it_open() -> None:
    scene = Scene()
    paid = make_transaction(scene.chain.chain_id, "acme", pay("zeta", 20), 4)
    scene.chain.add(spoiled(paid))
    shown_refusal = scene.result(paid, 3, 0)
    block = scene.chain.proofs.certified(3)
    told = scene.verifier.outcome(shown_refusal, block, paid.transaction_id, paid.body_hash)
    assert told.reason is CommonReason.BAD_SIGNATURE
    assert not told.is_settled
    scene.chain.add(paid)
    assert units_of(scene.chain.ledger.state, "zeta") == 50


def test_what_took_effect_and_what_the_rules_refuse_is_settled() -> None:
    scene = Scene()
    block = scene.chain.proofs.certified(2)
    for position, composed in enumerate((scene.paid, scene.vain)):
        result = scene.result(composed, 2, position)
        assert scene.verifier.outcome(result, block, composed.transaction_id).is_settled


def test_a_refusal_at_one_door_is_not_settled() -> None:
    scene = Scene()
    result = TransactionResult(code=CommonReason.SIGNER_UNKNOWN.number)
    assert not scene.verifier.outcome(result, None, scene.paid.transaction_id).is_settled


def test_a_reason_that_is_for_good_is_believed_once_an_honest_node_gives_it() -> None:
    scene = Scene()
    result = TransactionResult(code=CommonReason.EXPIRED.number)
    expired = scene.verifier.outcome(result, None, scene.paid.transaction_id)
    said: dict[str, Reason] = {"b": CommonReason.SIGNER_UNKNOWN, "c": CommonReason.MALFORMED}
    assert not scene.verifier.ends_a_wait("a", expired, said), "one of three gives this reason"
    assert not scene.verifier.ends_a_wait("a", expired, said), "however often it does"
    assert scene.verifier.ends_a_wait("d", expired, said)
    with pytest.raises(Refused) as caught:
        expired.require_success()
    assert caught.value.reason is CommonReason.EXPIRED


@pytest.mark.parametrize(
    "reason",
    [CommonReason.SIGNER_UNKNOWN, CommonReason.VALID_UNTIL_TOO_FAR, CommonReason.NOT_IN_WINDOW],
    ids=str,
)
def test_a_reason_that_may_pass_is_given_by_a_quorum_and_is_no_refusal(reason: Reason) -> None:
    """Two honest nodes that are behind do not know a signer whom the third knows already."""
    scene = Scene()
    told = scene.verifier.outcome(
        TransactionResult(code=reason.number), None, scene.paid.transaction_id
    )
    said: dict[str, Reason] = {}
    ends = [scene.verifier.ends_a_wait(node_id, told, said) for node_id in "abc"]
    assert ends == [False, False, True]
    with pytest.raises(Refused) as caught:
        told.require_success()
    assert caught.value.reason is CommonReason.OUTCOME_UNKNOWN
    assert caught.value.metadata == {
        "refusal": reason.name,
        "transaction_id": scene.paid.transaction_id.hex(),
    }


def test_a_node_that_would_take_it_now_refuses_no_longer() -> None:
    scene = Scene()
    said: dict[str, Reason] = {"a": CommonReason.SIGNER_UNKNOWN}
    result = TransactionResult(code=CommonReason.NOT_LEADER.number)
    told = scene.verifier.outcome(result, None, scene.paid.transaction_id)
    assert not scene.verifier.ends_a_wait("a", told, said)
    assert said == {}


def test_a_second_use_of_an_id_that_a_block_refuses_is_no_last_word() -> None:
    """Anybody can bring the very body with a spoiled signature while the first result stands."""
    told = Outcome(bytes(32), CommonReason.REQUEST_ID_REUSED.number, "used", height=2)
    assert not told.is_settled
    assert not told._replace(height=0).leaves_it_open


def test_a_signature_that_is_false_at_a_door_is_false_for_good() -> None:
    """The door judges the bytes that were sent; in a block anybody may have spoiled them."""
    scene = Scene()
    result = TransactionResult(code=CommonReason.BAD_SIGNATURE.number)
    told = scene.verifier.outcome(result, None, scene.paid.transaction_id)
    assert not told.leaves_it_open


def test_an_honest_result_is_believed_with_its_block() -> None:
    scene = Scene()
    result = scene.result(scene.paid, 2, 0)
    outcome = scene.verifier.outcome(
        result, scene.chain.proofs.certified(2), scene.paid.transaction_id, scene.paid.body_hash
    )
    assert outcome.took_effect
    assert (outcome.height, outcome.position) == (2, 0)
    assert scene.verifier.height == 2


def test_a_refusal_in_a_block_is_proven_too() -> None:
    scene = Scene()
    outcome = scene.verifier.outcome(
        scene.result(scene.vain, 2, 1), scene.chain.proofs.certified(2), scene.vain.transaction_id
    )
    assert outcome.reason is CommonReason.AMOUNT_OUT_OF_RANGE
    with pytest.raises(Refused) as caught:
        outcome.require_success()
    assert caught.value.reason is CommonReason.AMOUNT_OUT_OF_RANGE


def forge_code(scene: Scene, result: TransactionResult, _: CertifiedHeader) -> None:
    result.code = 0 if result.code else 7


def forge_leaf(scene: Scene, result: TransactionResult, _: CertifiedHeader) -> None:
    leaf = decode(TransactionReceipt, result.receipt.leaf)
    result.receipt.leaf = encode(replace(leaf, code=0, message=""))
    result.code = 0


def forge_height(scene: Scene, result: TransactionResult, _: CertifiedHeader) -> None:
    result.height = 1


def forge_proof_height(scene: Scene, result: TransactionResult, _: CertifiedHeader) -> None:
    result.receipt.height = 1


def forge_path(scene: Scene, result: TransactionResult, _: CertifiedHeader) -> None:
    del result.receipt.path[:]


def forge_index(scene: Scene, result: TransactionResult, _: CertifiedHeader) -> None:
    result.receipt.leaf_index = 0


def forge_other_receipt(scene: Scene, result: TransactionResult, _: CertifiedHeader) -> None:
    result.receipt.CopyFrom(scene.chain.proofs.leaf(2, 0))
    result.code = 0


def forge_event(scene: Scene, result: TransactionResult, _: CertifiedHeader) -> None:
    result.receipt.CopyFrom(scene.chain.proofs.leaf(2, 2))
    result.code = 0


def forge_id(scene: Scene, result: TransactionResult, _: CertifiedHeader) -> None:
    result.transaction_id = bytes(32)


def forge_header(scene: Scene, _: TransactionResult, block: CertifiedHeader) -> None:
    header = decode(Header, block.header)
    block.header = encode(replace(header, event_root=bytes(32)))


def forge_block(scene: Scene, _: TransactionResult, block: CertifiedHeader) -> None:
    block.CopyFrom(scene.chain.proofs.certified(1))


def forge_few_signatures(scene: Scene, _: TransactionResult, block: CertifiedHeader) -> None:
    certificate = decode(Certificate, block.certificate)
    block.certificate = encode(replace(certificate, signatures=certificate.signatures[:2]))


def forge_one_signer(scene: Scene, _: TransactionResult, block: CertifiedHeader) -> None:
    certificate = decode(Certificate, block.certificate)
    block.certificate = encode(replace(certificate, signatures=certificate.signatures[:1] * 3))


def forge_nothing_signed(scene: Scene, _: TransactionResult, block: CertifiedHeader) -> None:
    block.certificate = b""


FORGERIES = [value for name, value in list(globals().items()) if name.startswith("forge_")]


@pytest.mark.parametrize("forge", FORGERIES)
def test_a_forged_result_is_untrue(
    forge: Callable[[Scene, TransactionResult, CertifiedHeader], None],
) -> None:
    scene = Scene()
    result = scene.result(scene.vain, 2, 1)
    block = CertifiedHeader()
    block.CopyFrom(scene.chain.proofs.certified(2))
    forge(scene, result, block)
    with pytest.raises(Untrue):
        scene.verifier.outcome(result, block, scene.vain.transaction_id, scene.vain.body_hash)


def test_a_receipt_of_another_body_under_the_same_request_id_is_untrue() -> None:
    scene = Scene()
    with pytest.raises(Untrue, match="another body"):
        scene.verifier.outcome(
            scene.result(scene.paid, 2, 0),
            scene.chain.proofs.certified(2),
            scene.paid.transaction_id,
            bytes(32),
        )


def test_the_receipt_of_another_transaction_is_untrue() -> None:
    scene = Scene()
    stolen = scene.result(scene.paid, 2, 0)
    stolen.transaction_id = scene.vain.transaction_id
    with pytest.raises(Untrue):
        scene.verifier.outcome(stolen, scene.chain.proofs.certified(2), scene.vain.transaction_id)


def test_success_without_a_block_is_untrue_and_a_refusal_is_one_nodes_word() -> None:
    scene = Scene()
    with pytest.raises(Untrue):
        scene.verifier.outcome(TransactionResult(code=0), None, scene.paid.transaction_id)
    refused = TransactionResult(code=CommonReason.BUSY.number)
    outcome = scene.verifier.outcome(refused, None, scene.paid.transaction_id)
    assert outcome.reason is CommonReason.BUSY
    assert outcome.height == 0
    assert outcome.block is None


def test_a_certificate_of_another_chain_is_untrue() -> None:
    scene, other = Scene(), CertifiedLedger("other")
    other.add()
    with pytest.raises(Untrue) as caught:
        scene.verifier.certified(other.proofs.certified(1))
    assert caught.value.reason is CommonReason.BAD_CERTIFICATE


def test_votes_given_to_another_chain_do_not_count() -> None:
    scene = Scene()
    header = scene.chain.ledger.header_at(2)
    stolen = certificate_of(header, chain_id=bytes(32))
    with pytest.raises(Untrue):
        scene.verifier.certified(CertifiedHeader(header=encode(header), certificate=encode(stolen)))


def test_a_genesis_of_another_chain_is_untrue() -> None:
    scene = Scene()
    for forged in (
        CertifiedLedger("other").genesis,
        replace(scene.chain.genesis, created_unix_ms=1),
    ):
        with pytest.raises(Untrue) as caught:
            Verifier(scene.chain.chain_id).learn_genesis(encode(forged))
        assert caught.value.reason is CommonReason.WRONG_CHAIN
    with pytest.raises(Untrue):
        Verifier(scene.chain.chain_id).learn_genesis(b"rubbish")


def test_an_honest_value_and_an_honest_absence_are_believed() -> None:
    scene = Scene()
    value, final = scene.verifier.entry(scene.evidence(), KEY, 2)
    assert value == scene.chain.ledger.value_at(2, KEY)
    assert final.height == 2
    absent = ACCOUNT.key("nobody")
    evidence = LedgerReads(scene.chain.ledger, scene.chain.proofs).entry(absent, 1)
    assert scene.verifier.entry(evidence, absent, 2)[0] is None


def tamper_value(evidence: Evidence) -> None:
    evidence.entry.value = b"\x91\xcd\x27\x0f"


def tamper_presence(evidence: Evidence) -> None:
    evidence.entry.present = False


def tamper_proof(evidence: Evidence) -> None:
    evidence.entry.proof = evidence.entry.proof[:-1] + b"\x00"


def tamper_no_proof(evidence: Evidence) -> None:
    evidence.entry.proof = b""


def tamper_long_proof(evidence: Evidence) -> None:
    evidence.entry.proof = bytes(9_000)


def tamper_key(evidence: Evidence) -> None:
    evidence.entry.key = ACCOUNT.key("zeta")


def tamper_no_block(evidence: Evidence) -> None:
    evidence.block.Clear()


TAMPERINGS = [value for name, value in list(globals().items()) if name.startswith("tamper_")]


@pytest.mark.parametrize("tamper", TAMPERINGS)
def test_a_tampered_value_is_untrue(tamper: Callable[[Evidence], None]) -> None:
    scene = Scene()
    evidence = scene.evidence()
    tamper(evidence)
    with pytest.raises(Untrue):
        scene.verifier.entry(evidence, KEY, 1)


def test_an_answer_older_than_asked_for_is_untrue() -> None:
    scene = Scene()
    with pytest.raises(Untrue) as caught:
        scene.verifier.entry(scene.evidence(), KEY, 3)
    assert caught.value.reason is CommonReason.STALE_ANSWER


def test_a_value_under_the_header_of_another_height_is_untrue() -> None:
    scene = Scene()
    evidence = scene.evidence()
    evidence.block.CopyFrom(scene.chain.proofs.certified(1))
    with pytest.raises(Untrue):
        scene.verifier.entry(evidence, KEY, 1)


def test_leaves_must_be_all_and_in_order() -> None:
    scene = Scene()
    block, leaves = scene.chain.proofs.certified(2), list(scene.chain.proofs.leaves(2))
    final, found = scene.verifier.leaves(block, leaves)
    assert final.height == 2
    assert len(found) == 3
    for forged in (leaves[:-1], leaves[::-1], [*leaves, leaves[0]], []):
        with pytest.raises(Untrue):
            scene.verifier.leaves(block, forged)


def test_two_final_blocks_at_one_height_are_the_chains_fault_not_the_nodes() -> None:
    scene = Scene()
    scene.verifier.certified(scene.chain.proofs.certified(2))
    other = replace(scene.chain.ledger.header_at(2), time_unix_ms=7)
    with pytest.raises(Refused) as caught:
        scene.verifier.certified(shown(other))
    assert caught.value.reason is CommonReason.HEADER_CONFLICT
    assert not isinstance(caught.value, Untrue)


def test_final_blocks_follow_each_other_or_the_chain_is_broken() -> None:
    scene = Scene()
    first, second = (
        scene.verifier.certified(scene.chain.proofs.certified(height)) for height in (1, 2)
    )
    verify_follows(first, second)
    third = scene.chain.add().header
    for header in (
        replace(third, parent_hash=bytes(32)),
        replace(third, height=4),
        replace(third, time_unix_ms=second.header.time_unix_ms),
    ):
        orphan = Verifier(scene.chain.chain_id)
        orphan.learn_genesis(encode(scene.chain.genesis))
        with pytest.raises(Refused) as caught:
            verify_follows(second, orphan.certified(shown(header)))
        assert caught.value.reason is CommonReason.HEADER_CONFLICT


def test_a_reused_request_id_claims_no_receipt_of_the_first_body() -> None:
    scene = Scene()
    finals = FinalHeights(scene.chain.ledger)
    submissions = Submissions(cast("Node", None), scene.chain.proofs, finals)
    reused = Result(scene.paid.transaction_id, CommonReason.REQUEST_ID_REUSED, "", 2, 0)
    [told] = submissions.prove([reused])
    assert (told.height, told.HasField("receipt")) == (0, False)
    outcome = scene.verifier.outcome(told, None, scene.paid.transaction_id)
    assert outcome.reason is CommonReason.REQUEST_ID_REUSED


def test_the_users_key_does_not_sign_blocks() -> None:
    scene = Scene()
    assert key_of("acme").public_key not in {
        node.public_key for node in scene.chain.genesis.node_set.nodes
    }
    header = scene.chain.ledger.header_at(2)
    with pytest.raises(Untrue):
        scene.verifier.certified(shown(header, ("acme", "zeta", "bank")))

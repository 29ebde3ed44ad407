"""The audit of one chain: a replay believes no header, certificate or block it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from bizchain.chain import CHAIN
from bizchain.v1 import operation_pb2 as pb
from common.encoding import encode
from common.ledger.block import Block
from common.ledger.chain import Violation
from common.ledger.state import Reader
from common.storage.memory import MemoryStateStore
from relay.audit.findings import ChainReport, Violated
from relay.audit.replay import Replay
from tests.kit.two_chains import START_UNIX_MS, LiveChain, author_of

BLOCKS = 5


@dataclass(frozen=True)
class Shown:
    """A block as somebody shows it."""

    body: bytes
    header: bytes
    certificate: bytes


def chain_of_deposits() -> tuple[LiveChain, list[Shown]]:
    live = LiveChain(CHAIN, MemoryStateStore())
    shown: list[Shown] = []
    for number in range(1, BLOCKS + 1):
        deposit = pb.DepositCash(party="buyer", currency="CNY", amount=number, reference="")
        raws = [
            live.signed("deposit_cash", deposit, author_of("bank-1")).raw for _ in range(number)
        ]
        now = START_UNIX_MS + number
        body = encode(Block(now, tuple(raws)))
        live._pending += raws
        live.make_block(now)
        certificate = live.ledger.certificate_at(number)
        shown.append(Shown(body, encode(live.ledger.header), encode(certificate)))
    return live, shown


def replay(live: LiveChain, shown: Sequence[Shown]) -> ChainReport:
    made = Replay(CHAIN, live.genesis, every_blocks=1)
    for height, block in enumerate(shown, start=1):
        made.take_block(block.body)
        made.check_header(block.header, height, "node-1")
        made.check_certificate(block.certificate, height, "node-1")
    return made.finish()


def test_a_true_chain_is_clean_to_its_last_block() -> None:
    live, shown = chain_of_deposits()
    report = replay(live, shown)
    assert (report.height, report.final_height, report.certificates) == (BLOCKS, BLOCKS, BLOCKS)
    assert report.transactions == sum(range(1, BLOCKS + 1))
    assert report.invariants == tuple(sorted(CHAIN.invariants))


@pytest.mark.parametrize("height", range(1, BLOCKS + 1))
def test_a_block_without_one_of_its_transactions_leads_to_another_header(height: int) -> None:
    live, shown = chain_of_deposits()
    block = Block(START_UNIX_MS + height, ())
    shown[height - 1] = Shown(
        encode(block), shown[height - 1].header, shown[height - 1].certificate
    )
    with pytest.raises(Violated) as caught:
        replay(live, shown)
    finding = caught.value.finding
    assert (finding.invariant, finding.place, finding.height) == ("header", "node-1", height)


def test_a_header_that_is_believed_by_nobody_is_found() -> None:
    live, shown = chain_of_deposits()
    header = replace(live.ledger.header, time_unix_ms=live.ledger.header.time_unix_ms + 1)
    shown[-1] = Shown(shown[-1].body, encode(header), shown[-1].certificate)
    with pytest.raises(Violated, match="header"):
        replay(live, shown)


def test_a_certificate_of_too_few_nodes_is_found() -> None:
    live, shown = chain_of_deposits()
    certificate = live.ledger.certificate_at(3)
    assert certificate is not None
    few = replace(certificate, signatures=certificate.signatures[:2])
    shown[2] = Shown(shown[2].body, shown[2].header, encode(few))
    with pytest.raises(Violated, match="certificate: node-1 at height 3: 2 valid signatures"):
        replay(live, shown)


def test_the_certificate_of_another_height_is_found() -> None:
    live, shown = chain_of_deposits()
    shown[3] = Shown(shown[3].body, shown[3].header, shown[2].certificate)
    with pytest.raises(Violated, match="certificate: node-1 at height 4: it is of height 3"):
        replay(live, shown)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"rubbish",
        encode(Block(START_UNIX_MS, ())),
        encode(Block(START_UNIX_MS + 2, (b"x" * 70_000,))),
    ],
)
def test_a_block_no_node_may_hold_is_found(body: bytes) -> None:
    live, shown = chain_of_deposits()
    shown[1] = Shown(body, shown[1].header, shown[1].certificate)
    with pytest.raises(Violated) as caught:
        replay(live, shown)
    assert (caught.value.finding.invariant, caught.value.finding.height) == ("log", 2)


def test_a_broken_invariant_is_named_with_the_height_where_it_was_met() -> None:
    def never_four(state: Reader) -> list[Violation]:
        del state
        return [Violation("B99", "four")] if made.height == 4 else []

    live, shown = chain_of_deposits()
    chain = CHAIN.__class__(**{**vars(CHAIN), "invariants": {"never four": never_four}})
    made = Replay(chain, live.genesis, every_blocks=1)
    with pytest.raises(Violated, match="B99: bizchain at height 4: four"):
        for block in shown:
            made.take_block(block.body)


def test_an_invariant_that_cannot_be_computed_is_a_finding() -> None:
    def breaks(_: Reader) -> list[Violation]:
        raise KeyError("a row that must be there")

    live, _ = chain_of_deposits()
    chain = CHAIN.__class__(**{**vars(CHAIN), "invariants": {"breaks": breaks}})
    with pytest.raises(Violated, match="breaks: bizchain at height 0: cannot be computed"):
        Replay(chain, live.genesis).finish()

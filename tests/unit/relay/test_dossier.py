"""A dossier holds, or says why it does not: every part of it that is changed is noticed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from common.crypto.merkle import MerkleTree
from common.crypto.signing import sign
from common.encoding import decode, encode
from common.errors import CommonReason, Refused
from common.ledger.block import Event, Header, header_hash
from common.ledger.certificate import Certificate, HeaderVote, VoteSignature, vote_digest
from common.network import Network, NetworkChain, NetworkNode
from common.networkfile import save_network
from common.transfer.machine import TransferRecord
from common.transfer.terms import Mode, Terms
from relay.agreement import decline
from relay.dossier import Dossier, DossierRecord, verify_dossier
from relay.dossier.__main__ import main
from relay.dossier.assembly import ChainProofs, assemble, record_in
from relay.dossier.contents import DOSSIER_BYTES_MAX, PartyProof
from relay.inputs import Opening
from tests.kit.pair_ledger import party_of, record_of
from tests.kit.relays import HarnessRelay, run
from tests.kit.two_chains import LiveChain, TwoChains, author_of, key_of

Change = Callable[[Dossier], Dossier]


def story(kind: str) -> tuple[TwoChains, HarnessRelay, bytes]:
    """A transfer that went one way, and the relay that carried it."""
    pair = TwoChains()
    relay = HarnessRelay(pair)
    mode = Mode.TWO_STEP if kind == "two-step" else Mode.EXPRESS
    agreement = pair.trade(mode=mode, seconds=8 if kind == "expired" else 60)
    package = pair.package(agreement, custody=kind not in {"expired", "declined", "open"})
    if kind == "declined":
        package.decline.CopyFrom(decline(agreement.terms, author_of("seller")))
    transfer_id = relay.hand_over(package)
    run(pair, [relay], seconds=40 if kind == "expired" else 3)
    pair.check()
    return pair, relay, transfer_id


@cache
def dossier_of(kind: str) -> bytes:
    pair, relay, transfer_id = story(kind)
    found = relay.reconciler.find(transfer_id)
    assert found is not None
    return assemble(
        found.terms_bytes,
        found.package,
        ChainProofs(
            pair.books.genesis,
            [record_of(pair.books, transfer_id, one) for one in found.follower_heights],
            {"buyer": party_on(pair.books, "buyer")},
        ),
        ChainProofs(
            pair.assets.genesis,
            [record_of(pair.assets, transfer_id, one) for one in found.decider_heights],
            {"seller": party_on(pair.assets, "seller")},
        ),
    )


def party_on(chain: LiveChain, party: str) -> PartyProof:
    proof = party_of(chain, party)
    assert proof is not None
    return proof


def committed() -> Dossier:
    return decode(Dossier, dossier_of("express"))


# --- what holds ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "outcome", "ended", "follower", "decider"),
    [
        ("express", "COMMIT", True, ["RESERVED", "SETTLED"], ["COMMITTED"]),
        ("two-step", "COMMIT", True, ["RESERVED", "SETTLED"], ["RESERVED", "COMMITTED"]),
        ("expired", "ABORT", True, ["RESERVED", "RELEASED"], ["ABORTED"]),
        ("declined", "ABORT", True, ["RELEASED"], ["ABORTED"]),
        ("open", "", False, ["RESERVED"], []),
    ],
)
def test_the_dossier_of_a_transfer_holds_offline(
    kind: str, outcome: str, ended: bool, follower: list[str], decider: list[str]
) -> None:
    report = verify_dossier(dossier_of(kind))
    assert (report.outcome, report.ended) == (outcome, ended)
    assert [one.state for one in report.follower.records] == follower
    assert [one.state for one in report.decider.records] == decider
    assert report.follower.is_opened
    assert report.decider.is_opened
    assert (report.follower.consents, report.decider.consents) == (("buyer",), ("seller",))


def test_a_dossier_is_held_to_the_chains_that_are_pinned() -> None:
    terms = decode(Terms, committed().terms)
    ids = (terms.follower_chain, terms.decider_chain)
    assert verify_dossier(dossier_of("express"), ids).is_pinned
    assert not verify_dossier(dossier_of("express")).is_pinned
    with pytest.raises(Refused) as refused:
        verify_dossier(dossier_of("express"), (ids[0], bytes(32)))
    assert refused.value.reason is CommonReason.WRONG_CHAIN


def test_a_dossier_of_which_the_first_record_is_lost_still_proves_the_outcome() -> None:
    dossier = committed()
    report = verify_dossier(encode(side(dossier, records=dossier.follower.records[1:])))
    assert (report.outcome, report.ended) == ("COMMIT", True)


def test_one_transfer_has_one_dossier() -> None:
    again = encode(decode(Dossier, dossier_of("express")))
    assert again == dossier_of("express")


def test_no_dossier_of_an_open_transfer_holds_its_secret() -> None:
    pair = TwoChains()
    relay = HarnessRelay(pair)
    agreement = pair.trade()
    transfer_id = relay.hand_over(pair.package(agreement))
    relay.step()
    found = relay.reconciler.find(transfer_id)
    assert found is not None
    assert found.package is not None
    assert found.package.secret
    data = assemble(
        found.terms_bytes,
        found.package,
        ChainProofs(pair.books.genesis, []),
        ChainProofs(pair.assets.genesis, []),
    )
    assert agreement.secret not in data


# --- what does not -------------------------------------------------------------------------------


def side(dossier: Dossier, which: str = "follower", **fields: Any) -> Dossier:
    return replace(dossier, **{which: replace(getattr(dossier, which), **fields)})


def record(dossier: Dossier, which: str, at: int, **fields: Any) -> Dossier:
    records = list(getattr(dossier, which).records)
    records[at] = replace(records[at], **fields)
    return side(dossier, which, records=tuple(records))


def flip(data: bytes, at: int = -1) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


def terms(dossier: Dossier, **fields: Any) -> Dossier:
    return replace(dossier, terms=encode(replace(decode(Terms, dossier.terms), **fields)))


def header(dossier: Dossier, **fields: Any) -> Dossier:
    old = dossier.decider.records[0]
    return record(
        dossier, "decider", 0, header=encode(replace(decode(Header, old.header), **fields))
    )


def certificate(dossier: Dossier, **fields: Any) -> Dossier:
    old = decode(Certificate, dossier.decider.records[0].certificate)
    return record(dossier, "decider", 0, certificate=encode(replace(old, **fields)))


def votes(dossier: Dossier) -> tuple[VoteSignature, ...]:
    return decode(Certificate, dossier.decider.records[0].certificate).signatures


def signed_by_the_other_chain(dossier: Dossier) -> Dossier:
    """The nodes of the books sign the header of the asset chain."""
    head = decode(Header, dossier.decider.records[0].header)
    digest = header_hash(head)
    names = [f"bizchain-{member}" for member in ("bank", "core", "logistics")]
    signatures = []
    for name in names:
        vote = HeaderVote(head.chain_id, 0, 0, head.height, 1, name, digest)
        signatures.append(VoteSignature(name, 1, sign(key_of(name), vote_digest(vote))))
    return certificate(dossier, signatures=tuple(signatures))


def another_record(dossier: Dossier) -> Dossier:
    """A leaf with another outcome in the place of the true one."""
    old = dossier.decider.records[0]
    event = decode(Event, old.leaf)
    forged = replace(decode(TransferRecord, event.payload), state="ABORTED", reason="expired")
    leaf = encode(replace(event, payload=encode(forged)))
    return record(dossier, "decider", 0, leaf=leaf)


def opening(dossier: Dossier) -> Opening:
    assert dossier.follower.opening is not None
    return dossier.follower.opening


def consent(dossier: Dossier, **fields: Any) -> Dossier:
    return side(dossier, consents=(replace(dossier.follower.consents[0], **fields),))


def other(dossier: Dossier) -> Dossier:
    """The dossier of another transfer of the same chains, which holds as well."""
    return decode(Dossier, dossier_of("two-step"))


CHANGES: dict[str, Change] = {
    "version before": lambda d: replace(d, version=1),
    "version after": lambda d: replace(d, version=4),
    "version far away": lambda d: replace(d, version=1 << 40),
    "terms cut": lambda d: replace(d, terms=d.terms[:-1]),
    "terms salt": lambda d: terms(d, salt=bytes(32)),
    "terms flow": lambda d: terms(d, flow="X1"),
    "terms mode": lambda d: terms(d, mode="two-step"),
    "terms deadline": lambda d: terms(d, deadline_unix_ms=1_900_000_000_000),
    "terms holder": lambda d: terms(d, secret_holder="seller"),
    "terms lock": lambda d: terms(d, hash_lock=bytes(32)),
    "terms chain": lambda d: terms(d, follower_chain=bytes(32)),
    "terms of another": lambda d: replace(d, terms=other(d).terms),
    "sides swapped": lambda d: replace(d, follower=d.decider, decider=d.follower),
    "genesis swapped": lambda d: side(d, genesis=d.decider.genesis),
    "genesis changed": lambda d: side(d, genesis=flip(d.follower.genesis)),
    "genesis empty": lambda d: side(d, genesis=b""),
    "node set": lambda d: side(d, node_sets=(b"x",)),
    "leg": lambda d: side(d, opening=Opening(b"other", opening(d).salt)),
    "leg salt": lambda d: side(d, opening=Opening(opening(d).leg, bytes(32))),
    "leg of the other": lambda d: side(d, opening=d.decider.opening),
    "consent signature": lambda d: consent(d, signature=flip(d.follower.consents[0].signature)),
    "consent party": lambda d: consent(d, party="seller"),
    "consent key": lambda d: consent(d, public_key=key_of("store/first").public_key),
    "consent short": lambda d: consent(d, signature=b""),
    "consent twice": lambda d: side(d, consents=d.follower.consents * 2),
    "consent elsewhere": lambda d: side(d, consents=other(d).follower.consents),
    "header time": lambda d: header(d, time_unix_ms=1_900_000_000_000),
    "header height": lambda d: header(d, height=99),
    "header root": lambda d: header(d, event_root=bytes(32)),
    "header chain": lambda d: header(d, chain_id=bytes(32)),
    "header history": lambda d: header(d, history=1),
    "header epoch": lambda d: header(d, epoch=1),
    "header genesis": lambda d: header(d, height=0),
    "header rubbish": lambda d: record(d, "decider", 0, header=b"rubbish"),
    "certificate empty": lambda d: certificate(d, signatures=()),
    "certificate short": lambda d: certificate(d, signatures=votes(d)[:2]),
    "certificate thrice": lambda d: certificate(d, signatures=votes(d)[:1] * 3),
    "certificate term": lambda d: certificate(
        d, signatures=tuple(replace(one, term=2) for one in votes(d))
    ),
    "certificate names": lambda d: certificate(
        d,
        signatures=tuple(
            replace(one, node_id=name)
            for one, name in zip(votes(d), ("assetchain-a", "assetchain-b", "x"), strict=True)
        ),
    ),
    "certificate of others": signed_by_the_other_chain,
    "certificate of another block": lambda d: record(
        d, "decider", 0, certificate=other(d).decider.records[0].certificate
    ),
    "leaf forged": another_record,
    "leaf cut": lambda d: record(d, "decider", 0, leaf=d.decider.records[0].leaf[:-1]),
    "leaf of the follower": lambda d: record(d, "decider", 0, leaf=d.follower.records[0].leaf),
    "path cut": lambda d: record(d, "decider", 0, path=d.decider.records[0].path[:-1]),
    "path swapped": lambda d: record(d, "decider", 0, path=d.decider.records[0].path[::-1]),
    "path longer": lambda d: record(d, "decider", 0, path=(*d.decider.records[0].path, bytes(32))),
    "place": lambda d: record(d, "decider", 0, leaf_index=0),
    "place below": lambda d: record(d, "decider", 0, leaf_index=-1),
    "count": lambda d: record(d, "decider", 0, leaf_count=99),
    "count beyond": lambda d: record(d, "decider", 0, leaf_count=1 << 40),
    "decision left out": lambda d: side(d, "decider", records=()),
    "records reversed": lambda d: side(d, records=d.follower.records[::-1]),
    "record twice": lambda d: side(d, records=(d.follower.records[0],) * 2),
    "record thrice": lambda d: side(d, records=(*d.follower.records, d.follower.records[1])),
    "records of another": lambda d: side(d, records=other(d).follower.records),
    "record of the other chain": lambda d: side(d, records=d.decider.records),
    "decision of another": lambda d: side(d, "decider", records=other(d).decider.records),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_dossier_does_not_hold(name: str) -> None:
    changed = encode(CHANGES[name](committed()))
    assert changed != dossier_of("express")
    with pytest.raises(Refused):
        verify_dossier(changed)


def test_a_dossier_with_any_byte_changed_does_not_hold() -> None:
    data = dossier_of("express")
    for at in range(0, len(data), 41):
        with pytest.raises(Refused):
            verify_dossier(flip(data, at))


@pytest.mark.parametrize(
    "data", [b"", b"\x00", b"rubbish" * 100, bytes(DOSSIER_BYTES_MAX + 1)], ids=len
)
def test_rubbish_is_no_dossier(data: bytes) -> None:
    with pytest.raises(Refused):
        verify_dossier(data)


def test_more_records_than_a_transfer_can_have_are_refused_unread() -> None:
    rubbish = DossierRecord(b"", b"", 0, 1, b"", ())
    with pytest.raises(Refused) as refused:
        verify_dossier(encode(side(committed(), records=(rubbish,) * 1_000)))
    assert refused.value.reason is CommonReason.TOO_LARGE


def test_bytes_after_the_end_are_refused() -> None:
    with pytest.raises(Refused):
        verify_dossier(dossier_of("express") + b"\x00")


def forged(which: str, *records: tuple[str, dict[str, Any]], time_unix_ms: int = 0) -> bytes:
    """A dossier in which nodes certified what no honest chain writes.

    Real certificates over blocks of one forged event each. The follower stands at RESERVED where
    the forged records are the decider's.
    """
    dossier = committed()
    dossier = side(dossier, records=dossier.follower.records[:1])
    old: DossierRecord = getattr(dossier, which).records[0]
    head, event = decode(Header, old.header), decode(Event, old.leaf)
    chain = "bizchain" if which == "follower" else "assetchain"
    shown: list[DossierRecord] = []
    for number, (state, fields) in enumerate(records):
        payload = replace(decode(TransferRecord, event.payload), state=state, **fields)
        leaf = replace(event, payload=encode(payload))
        draft = record_in(bytes.fromhex(event.key), b"", b"", [leaf])
        certified = replace(
            head,
            height=head.height + number,
            time_unix_ms=time_unix_ms or head.time_unix_ms,
            event_root=MerkleTree([draft.leaf]).root,
        )
        proof = encode(_certificate(chain, certified))
        shown.append(replace(draft, header=encode(certified), certificate=proof))
    return encode(side(dossier, which, records=tuple(shown)))


def _certificate(chain: str, head: Header) -> Certificate:
    digest = header_hash(head)
    signatures = []
    for name in (f"{chain}-bank", f"{chain}-core", f"{chain}-logistics"):
        vote = HeaderVote(head.chain_id, 0, 0, head.height, 1, name, digest)
        signatures.append(VoteSignature(name, 1, sign(key_of(name), vote_digest(vote))))
    return Certificate(0, 0, head.height, digest, tuple(signatures))


@pytest.mark.parametrize(
    "records",
    [
        [("RESERVED", {}), ("RELEASED", {})],
        [("SETTLED", {})],
        [("SETTLED", {"secret": bytes(32)})],
        [("COMMITTED", {})],
        [("NONE", {})],
        [("SETTLED", {}), ("RESERVED", {})],
        [("RESERVED", {}), ("RESERVED", {})],
        [("RESERVED", {"role": "decider"})],
        [("RESERVED", {"version": 2})],
        [("RESERVED", {"flow": "X1"})],
        [("RESERVED", {"deadline_unix_ms": 5})],
        [("RESERVED", {"transfer_id": bytes(32)})],
    ],
)
def test_even_certified_records_of_a_follower_must_make_one_story(
    records: list[tuple[str, dict[str, Any]]],
) -> None:
    whole = forged("follower", ("RESERVED", {}))
    assert verify_dossier(whole).outcome == "COMMIT", "the forgery itself holds"
    with pytest.raises(Refused):
        verify_dossier(forged("follower", *records))


LATE = 1_900_000_000_000


@pytest.mark.parametrize(
    ("state", "fields", "time_unix_ms"),
    [
        ("COMMITTED", {"secret": bytes(32)}, 0),
        ("COMMITTED", {"secret": b""}, 0),
        ("COMMITTED", {}, LATE),
        ("ABORTED", {"secret": b"", "reason": "expired"}, 0),
        ("ABORTED", {"secret": b"", "reason": ""}, LATE),
        ("ABORTED", {"secret": b"", "reason": "a whim"}, LATE),
        ("ABORTED", {"reason": "declined"}, 0),
    ],
)
def test_even_a_certified_decision_must_be_one_the_rules_allow(
    state: str, fields: dict[str, Any], time_unix_ms: int
) -> None:
    expired = ("ABORTED", {"secret": b"", "reason": "expired"})
    assert verify_dossier(forged("decider", expired, time_unix_ms=LATE)).outcome == "ABORT"
    with pytest.raises(Refused):
        verify_dossier(forged("decider", (state, fields), time_unix_ms=time_unix_ms))


# --- the program ---------------------------------------------------------------------------------


def test_the_verifier_says_what_it_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.dossier"
    path.write_bytes(dossier_of("express"))
    assert main([str(path)]) == 0
    told = capsys.readouterr().out
    assert "COMMIT, ended on both chains" in told
    assert "SETTLED in block" in told
    assert "compare both chain ids" in told


def test_what_a_record_says_neither_begins_a_line_nor_commands_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever owns the nodes of a chain that nobody pinned certifies what it likes."""
    path = tmp_path / "a.dossier"
    lie = "\x1b[2J\nholds     COMMIT, ended on both chains"
    path.write_bytes(forged("follower", ("RESERVED", {"reason": lie})))
    assert main([str(path)]) == 0
    told = capsys.readouterr().out
    assert "RESERVED (\\x1b[2J" in told
    assert all(line.isprintable() for line in told.splitlines())
    assert sum(line.startswith("holds") for line in told.splitlines()) == 1


def test_the_verifier_refuses_with_its_own_exit_codes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.dossier"
    path.write_bytes(flip(dossier_of("express"), 500))
    assert main([str(path)]) == 3
    assert "does not hold" in capsys.readouterr().err
    assert main([str(tmp_path / "none")]) == 4
    with pytest.raises(SystemExit) as usage:
        main([])
    assert usage.value.code == 2


def test_the_verifier_pins_the_chains_of_a_network_file(tmp_path: Path) -> None:
    path, network = tmp_path / "a.dossier", tmp_path / "network.toml"
    path.write_bytes(dossier_of("express"))
    known = decode(Terms, committed().terms)
    for second, code in ((known.decider_chain, 0), (bytes(32), 3)):
        chains = (
            NetworkChain("bizchain", known.follower_chain, (NetworkNode("a", "127.0.0.1:1"),)),
            NetworkChain("assetchain", second, (NetworkNode("b", "127.0.0.1:2"),)),
        )
        save_network(network, Network("test", b"certificate", chains))
        assert main([str(path), "--network", str(network)]) == code


def test_the_verifier_stands_alone_as_a_program(tmp_path: Path) -> None:
    path = tmp_path / "a.dossier"
    path.write_bytes(dossier_of("expired"))
    ran = subprocess.run(
        [sys.executable, "-m", "relay.dossier", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "ABORT, ended on both chains" in ran.stdout

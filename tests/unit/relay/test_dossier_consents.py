"""A dossier says that a party consented only where it owns the leg and the key is proven to be its.

Whoever holds a dossier can add a signature to it, in any name, with a key made for the purpose.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from common.crypto.signing import SigningKey, sign
from common.crypto.stateproof import StateProof, bucket_hash, key_hash, value_hash
from common.encoding import decode, encode
from common.errors import CommonReason, Reason, Refused, TransferReason
from common.ledger.block import Header, header_hash
from common.ledger.certificate import Certificate, HeaderVote, VoteSignature, vote_digest
from common.ledger.genesis import chain_id_of
from common.ledger.identity import PARTY, Party, PartyStatus
from common.transfer.terms import Terms, consent_digest, leg_hash, read_terms, transfer_id_of
from relay.audit.chains import CHAINS
from relay.dossier import Dossier, verify_dossier
from relay.dossier.__main__ import main
from relay.dossier.assembly import ChainProofs, assemble
from relay.dossier.consents import rules_of
from relay.dossier.contents import DossierConsent, PartyProof
from relay.inputs import Consent, Opening, Package
from tests.kit.two_chains import TwoChains, key_of, make_genesis
from tests.unit.relay.test_dossier import dossier_of, party_on

GOLDEN = Path(__file__).parents[2] / "golden"
STRANGER = SigningKey(b"stranger" * 4)
ESCAPES = "buyer\x1b[2J\x1b[H\nholds     COMMIT, ended on both chains"

Change = Callable[[DossierConsent], DossierConsent]


@cache
def committed(kind: str = "express") -> Dossier:
    return decode(Dossier, dossier_of(kind))


def signed(party: str, key: SigningKey, proof: PartyProof | None) -> DossierConsent:
    """A signature over the transfer, in this name."""
    transfer_id = transfer_id_of(read_terms(committed().terms))
    signature = sign(key, consent_digest(transfer_id, party))
    return DossierConsent(party, key.public_key, signature, proof)


def showing(*consents: DossierConsent, dossier: Dossier | None = None, **fields: Any) -> bytes:
    """The dossier with these consents to the buyer's leg, instead of its own."""
    whole = dossier or committed()
    return encode(replace(whole, follower=replace(whole.follower, consents=consents, **fields)))


def refusal(data: bytes) -> Reason:
    with pytest.raises(Refused) as refused:
        verify_dossier(data)
    return refused.value.reason


def told(data: bytes, folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """What the program says of a dossier, on both of its outputs."""
    path = folder / "a.dossier"
    path.write_bytes(data)
    code = main([str(path)])
    shown = capsys.readouterr()
    return code, shown.out + shown.err


def buyers() -> DossierConsent:
    [consent] = committed().follower.consents
    return consent


def proof_of(chain_name: str, party: str) -> PartyProof:
    return party_on(TwoChains().chain(chain_name), party)


# --- whose consent -------------------------------------------------------------------------------


def test_a_consent_with_a_party_proof_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = verify_dossier(dossier_of("express"))
    assert (report.follower.consents, report.decider.consents) == (("buyer",), ("seller",))
    assert report.follower.unproven_consents == ()
    [shown] = report.follower.shown_consents
    assert shown.height >= report.follower.records[0].height
    _, text = told(dossier_of("express"), tmp_path, capsys)
    assert "consent proven of buyer" in text
    assert "not proven to be" not in text


@pytest.mark.parametrize("key", [STRANGER, key_of("buyer/first")], ids=["stranger", "its own"])
def test_without_a_party_proof_nobody_is_said_to_have_consented(
    key: SigningKey, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = showing(signed("buyer", key, None))
    report = verify_dossier(data)
    assert report.follower.consents == ()
    assert report.follower.unproven_consents == ("buyer",)
    code, text = told(data, tmp_path, capsys)
    assert code == 0
    assert "consent proven of nobody" in text
    assert "a signature in the name of buyer: key not proven to be buyer's" in text


def test_a_strangers_key_is_not_made_the_buyers_by_the_buyers_proof() -> None:
    assert refusal(showing(signed("buyer", STRANGER, buyers().proof))) is (
        TransferReason.CONSENT_MISSING
    )


@pytest.mark.parametrize("party", ["regulator", "seller"])
@pytest.mark.parametrize("proven", [True, False])
def test_who_owns_no_leg_that_is_opened_here_has_nothing_to_consent_to(
    party: str, proven: bool
) -> None:
    proof = certified_row(founding(party)) if proven else None
    lie = signed(party, key_of(f"{party}/first"), proof)
    assert refusal(showing(buyers(), lie)) is TransferReason.CONSENT_MISSING
    assert refusal(showing(lie)) is TransferReason.CONSENT_MISSING


def test_a_consent_to_a_leg_that_is_not_opened_does_not_hold() -> None:
    assert refusal(showing(buyers(), opening=None)) is TransferReason.CONSENT_MISSING


def other(consent: DossierConsent, **fields: Any) -> DossierConsent:
    """The consent with another party proof."""
    assert consent.proof is not None
    return replace(consent, proof=replace(consent.proof, **fields))


def a_user_more(consent: DossierConsent) -> DossierConsent:
    """The stranger writes itself into the party's row."""
    assert consent.proof is not None
    party = decode(Party, consent.proof.party)
    users = (replace(party.users[0], public_key=STRANGER.public_key), *party.users[1:])
    forged = replace(consent.proof, party=encode(replace(party, users=users)))
    return signed("buyer", STRANGER, forged)


CHANGES: dict[str, tuple[Change, Reason]] = {
    "header": (lambda c: other(c, header=b""), CommonReason.MALFORMED),
    "header of another block": (
        lambda c: other(c, header=committed().follower.records[0].header),
        CommonReason.BAD_CERTIFICATE,
    ),
    "certificate": (lambda c: other(c, certificate=b""), CommonReason.MALFORMED),
    "row": (lambda c: other(c, party=b""), CommonReason.BAD_PROOF),
    "row of another": (
        lambda c: other(c, party=proof_of("bizchain", "seller").party),
        CommonReason.BAD_PROOF,
    ),
    "place": (lambda c: other(c, proof=b""), CommonReason.MALFORMED),
    "another party": (
        lambda c: replace(c, proof=proof_of("bizchain", "seller")),
        CommonReason.BAD_PROOF,
    ),
    "the other chain": (
        lambda c: replace(c, proof=committed().decider.consents[0].proof),
        CommonReason.BAD_CERTIFICATE,
    ),
    "a user more": (a_user_more, CommonReason.BAD_PROOF),
    "older than the transfer": (
        lambda c: replace(c, proof=proof_of("bizchain", "buyer")),
        TransferReason.CONSENT_MISSING,
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_party_proof_that_proves_something_else_does_not_hold(name: str) -> None:
    change, reason = CHANGES[name]
    assert refusal(showing(change(buyers()))) is reason


def founding(party_id: str) -> Party:
    """A party as the genesis has it."""
    [party] = [one for one in make_genesis("bizchain").parties if one.party_id == party_id]
    return party


def certified_row(party: Party) -> PartyProof:
    """A proof of this row as the only one of the books, certified by their nodes."""
    row = encode(party)
    bucket = key_hash(PARTY.key(party.party_id)) + value_hash(row)
    last = committed().follower.records[-1]
    head = replace(decode(Header, last.header), state_root=bucket_hash(bucket))
    digest = header_hash(head)
    votes = []
    for name in ("bizchain-bank", "bizchain-core", "bizchain-logistics"):
        vote = HeaderVote(head.chain_id, 0, 0, head.height, 1, name, digest)
        votes.append(VoteSignature(name, 1, sign(key_of(name), vote_digest(vote))))
    proof = Certificate(0, 0, head.height, digest, tuple(votes))
    return PartyProof(encode(head), encode(proof), row, encode(StateProof(bucket, ())))


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        (PartyStatus.ACTIVE, True),
        (PartyStatus.SUSPENDED, True),
        (PartyStatus.CLOSED, True),
        (PartyStatus.PROPOSED, False),
    ],
)
def test_keys_of_a_party_count_once_somebody_approved_it(status: str, counts: bool) -> None:
    proof = certified_row(replace(founding("buyer"), status=status))
    data = showing(signed("buyer", key_of("buyer/second"), proof))
    if counts:
        assert verify_dossier(data).follower.consents == ("buyer",)
    else:
        assert refusal(data) is TransferReason.CONSENT_MISSING


# --- names ---------------------------------------------------------------------------------------


def test_a_party_that_no_chain_would_have_is_refused_and_shown_escaped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = showing(signed(ESCAPES, STRANGER, None), dossier=committed("open"))
    assert refusal(data) is CommonReason.INVALID_ARGUMENT
    assert told(data, tmp_path, capsys)[0] == 3


@pytest.mark.parametrize("which", ["chain", "flow"])
def test_a_chain_or_flow_that_is_not_known_is_refused_and_shown_escaped(
    which: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = committed("open")
    terms, side = decode(Terms, whole.terms), replace(whole.follower, consents=(), records=())
    if which == "chain":
        genesis = replace(make_genesis("bizchain"), chain_name=ESCAPES)
        terms = replace(terms, follower_chain=chain_id_of(genesis))
        side = replace(side, genesis=encode(genesis))
    else:
        terms = replace(terms, flow=ESCAPES)
    decider = replace(whole.decider, consents=())
    data = encode(replace(whole, terms=encode(terms), follower=side, decider=decider))
    assert refusal(data) is TransferReason.FLOW_UNKNOWN
    code, text = told(data, tmp_path, capsys)
    assert code == 3
    assert "\x1b" not in text
    assert text.count("\n") == 1


def test_every_leg_of_both_chains_is_known_to_the_verifier() -> None:
    legs = [
        (name, flow, rules) for name, chain in CHAINS.items() for flow, rules in chain.legs.items()
    ]
    assert len(legs) >= 4
    assert all(rules_of(name, flow, rules.role) is rules for name, flow, rules in legs)


# --- assembling ----------------------------------------------------------------------------------


def assembled(package: Package, parties: dict[str, PartyProof]) -> bytes:
    whole = committed()
    books, assets = make_genesis("bizchain"), make_genesis("assetchain")
    return assemble(
        whole.terms,
        package,
        ChainProofs(books, whole.follower.records, parties),
        ChainProofs(assets, whole.decider.records),
    )


def package(*consents: DossierConsent, opening: Opening | None) -> Package:
    given = tuple(Consent(one.party, one.public_key, one.signature) for one in consents)
    return Package(committed().terms, opening, None, given, (), None, b"")


def test_what_no_verifier_could_judge_is_left_out() -> None:
    opening = committed().follower.opening
    foreign = signed("regulator", key_of("regulator/first"), None)
    report = verify_dossier(assembled(package(foreign, buyers(), opening=opening), {}))
    assert report.follower.unproven_consents == ("buyer",)
    report = verify_dossier(assembled(package(buyers(), opening=None), {}))
    assert report.follower.shown_consents == ()


@pytest.mark.parametrize("why", ["key", "age"])
def test_a_party_proof_that_does_not_bear_a_consent_out_is_left_out(why: str) -> None:
    key = STRANGER if why == "key" else key_of("buyer/first")
    given = package(signed("buyer", key, None), opening=committed().follower.opening)
    proof = proof_of("bizchain", "buyer") if why == "age" else buyers().proof
    assert proof is not None
    report = verify_dossier(assembled(given, {"buyer": proof}))
    assert report.follower.unproven_consents == ("buyer",)


def test_an_opening_that_is_no_leg_shows_nobodys_consent() -> None:
    """Whoever makes terms may put the hash of anything into them."""
    whole, opening = committed("open"), Opening(b"no leg", bytes(32))
    terms = replace(
        decode(Terms, whole.terms), follower_leg_hash=leg_hash(opening.leg, opening.salt)
    )
    given = Package(encode(terms), opening, None, (), (), None, b"")
    books, assets = make_genesis("bizchain"), make_genesis("assetchain")
    data = assemble(encode(terms), given, ChainProofs(books, ()), ChainProofs(assets, ()))
    assert verify_dossier(data).follower.is_opened


# --- versions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "proven", "unproven"),
    [(1, (), ("buyer",)), (2, ("buyer",), ()), (3, ("buyer",), ())],
)
def test_a_dossier_written_by_any_version_is_still_read(
    version: int, proven: tuple[str, ...], unproven: tuple[str, ...]
) -> None:
    lines = (GOLDEN / f"dossier_{version}.hex").read_text(encoding="ascii")
    report = verify_dossier(bytes.fromhex(lines))
    assert (report.outcome, report.ended) == ("COMMIT", True)
    assert report.follower.consents == proven
    assert report.follower.unproven_consents == unproven


def test_a_version_that_is_not_known_is_said_to_be_that() -> None:
    with pytest.raises(Refused, match="no dossier of version 1 to 3"):
        verify_dossier(encode(replace(committed(), version=4)))

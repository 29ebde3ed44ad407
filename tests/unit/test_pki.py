"""Certificates of mutual TLS: who they name, who may sign them, and what is refused."""

import datetime
import ipaddress
import random
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import verification
from hypothesis import given
from hypothesis import strategies as st

from common.crypto.digest import sha256
from common.crypto.pki import (
    AUTHORITY_VALIDITY_MS_MAX,
    CERTIFICATE_VALIDITY_MS_MAX,
    DAY_MS,
    P256_ORDER,
    PEM_BYTES_MAX,
    Credential,
    PeerIdentity,
    PeerKind,
    Validity,
    create_authority,
    identity_of,
    issue,
    load_certificate,
    load_credential,
    parse_identity,
    save_credential,
    tls_key_hash,
)
from common.errors import CommonReason, InvariantBroken, Refused

NOW = 1_800_000_000_000
LOOPBACK = ("localhost", "127.0.0.1", "::1")
YEAR = Validity(NOW, NOW + 365 * DAY_MS)
DECADE = Validity(NOW, NOW + 3_650 * DAY_MS)
NODE = PeerIdentity("devnet", PeerKind.NODE, "bizchain-1")
CLIENT = PeerIdentity("devnet", PeerKind.CLIENT, "supplier")

LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)
IDENTITIES = st.builds(PeerIdentity, LABELS, st.sampled_from(PeerKind), LABELS)


def chance(seed: int) -> Callable[[int], bytes]:
    return random.Random(seed).randbytes


def authority(network: str = "devnet", seed: int = 1) -> Credential:
    return create_authority(network, DECADE, chance(seed))


def refusal(action: Callable[[], object]) -> CommonReason:
    with pytest.raises(Refused) as caught:
        action()
    assert isinstance(caught.value.reason, CommonReason)
    return caught.value.reason


@given(IDENTITIES)
def test_an_identity_is_read_back_from_its_uri(identity: PeerIdentity) -> None:
    assert parse_identity(identity.uri) == identity


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "wutong://devnet/node",
        "wutong://devnet/node/",
        "wutong://devnet/node/a/b",
        "wutong://devnet/node/a\n",
        "wutong://devnet/node/A",
        "wutong://devnet/node/-a",
        "wutong://devnet/node/a-",
        "wutong://devnet/node/" + "a" * 64,
        "wutong://dev.net/node/a",
        "wutong://devnet/king/a",
        "wutong://devnet/authority/authority",
        "https://devnet/node/a",
        "wutong://devnet/node/a?x=1",
        "wutong://devnet/node/\u0430",
    ],
)
def test_no_other_text_is_an_identity(uri: str) -> None:
    assert refusal(lambda: parse_identity(uri)) is CommonReason.MALFORMED


@pytest.mark.parametrize(("network", "name"), [("", "a"), ("devnet", ""), ("devnet", "a/b")])
def test_an_identity_without_a_uri_cannot_be_made(network: str, name: str) -> None:
    reason = refusal(lambda: PeerIdentity(network, PeerKind.NODE, name))
    assert reason is CommonReason.INVALID_ARGUMENT


@pytest.mark.parametrize("kind", PeerKind)
def test_a_certificate_names_its_holder(kind: PeerKind) -> None:
    identity = PeerIdentity("devnet", kind, "holder")
    credential = issue(authority(), identity, LOOPBACK if kind.serves else (), YEAR, chance(2))
    read = load_certificate(credential.certificate_pem)
    assert identity_of(read) == identity
    read.verify_directly_issued_by(authority().certificate)


def test_equal_inputs_give_equal_certificates() -> None:
    first, second = (issue(authority(), NODE, LOOPBACK, YEAR, chance(2)) for _ in range(2))
    assert first.certificate_pem == second.certificate_pem
    other = issue(authority(), NODE, LOOPBACK, YEAR, chance(3))
    assert other.certificate.serial_number != first.certificate.serial_number
    assert tls_key_hash(other.certificate) != tls_key_hash(first.certificate)


def test_a_certificate_has_the_fields_of_its_profile() -> None:
    node = issue(authority(), NODE, LOOPBACK, YEAR, chance(2)).certificate
    extensions = node.extensions
    constraints = extensions.get_extension_for_class(x509.BasicConstraints)
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert constraints.critical
    assert not constraints.value.ca
    assert usage.critical
    assert usage.value.digital_signature
    assert not usage.value.key_cert_sign
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    addresses = names.get_values_for_type(x509.IPAddress)
    assert [str(address) for address in addresses] == ["127.0.0.1", "::1"]
    assert isinstance(node.public_key(), ec.EllipticCurvePublicKey)
    start = datetime.datetime.fromtimestamp(NOW // 1000, tz=datetime.UTC)
    assert node.not_valid_before_utc == start
    assert node.not_valid_after_utc == start + datetime.timedelta(days=365)
    assert 0 < node.serial_number < 1 << 159


def test_an_authority_signs_leaves_only() -> None:
    extensions = authority().certificate.extensions
    constraints = extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.value == x509.BasicConstraints(ca=True, path_length=0)
    assert extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign


def test_no_certificate_has_the_subject_of_its_authority() -> None:
    impostor = PeerIdentity("devnet", PeerKind.CLIENT, "authority")
    certificate = issue(authority(), impostor, (), YEAR, chance(2)).certificate
    assert certificate.subject != certificate.issuer


def test_what_an_authority_may_not_sign_is_refused() -> None:
    root = authority()

    def reason(identity: PeerIdentity, hosts: tuple[str, ...], validity: Validity) -> CommonReason:
        return refusal(lambda: issue(root, identity, hosts, validity, chance(2)))

    refused = [
        reason(PeerIdentity("othernet", PeerKind.CLIENT, "a"), (), YEAR),
        reason(NODE, (), YEAR),
        reason(CLIENT, LOOPBACK, YEAR),
        reason(NODE, ("localhost",) * 17, YEAR),
        reason(NODE, ("*.example",), YEAR),
        reason(NODE, ("under_score",), YEAR),
        reason(NODE, ("a" * 63 + (".a" * 100),), YEAR),
        reason(NODE, LOOPBACK, Validity(NOW, NOW + CERTIFICATE_VALIDITY_MS_MAX + 1)),
        reason(NODE, LOOPBACK, Validity(NOW - 1000, NOW + DAY_MS)),
        reason(NODE, LOOPBACK, Validity(NOW + 3_600 * DAY_MS, NOW + 3_651 * DAY_MS)),
    ]
    assert set(refused) == {CommonReason.INVALID_ARGUMENT}


def test_an_authority_needs_a_network_and_a_bounded_life() -> None:
    too_long = Validity(NOW, NOW + AUTHORITY_VALIDITY_MS_MAX + 1)
    invalid = CommonReason.INVALID_ARGUMENT
    assert refusal(lambda: create_authority("Dev Net", DECADE, chance(1))) is invalid
    assert refusal(lambda: create_authority("devnet", too_long, chance(1))) is invalid


@pytest.mark.parametrize(("start", "end"), [(5, 5), (6, 5), (-1, 5), (0, 253_402_300_800_000)])
def test_an_empty_or_endless_validity_is_refused(start: int, end: int) -> None:
    assert refusal(lambda: Validity(start, end)) is CommonReason.INVALID_ARGUMENT


def test_a_key_is_never_outside_the_group() -> None:
    draws = iter([bytes(32), P256_ORDER.to_bytes(32, "big"), (7).to_bytes(32, "big"), b"\1" * 20])
    root = create_authority("devnet", DECADE, lambda _size: next(draws))
    assert root.private_key.private_numbers().private_value == 7


def test_a_source_without_chance_stops_the_process() -> None:
    with pytest.raises(InvariantBroken):
        create_authority("devnet", DECADE, bytes)


def test_the_key_hash_is_that_of_the_public_key_alone() -> None:
    node = issue(authority(), NODE, LOOPBACK, YEAR, chance(2))
    renewed = issue(authority(), NODE, LOOPBACK, Validity(NOW + 1000, NOW + DAY_MS), chance(2))
    information = node.private_key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert tls_key_hash(node.certificate) == sha256(information)
    assert tls_key_hash(node.certificate) == tls_key_hash(renewed.certificate)
    assert node.certificate != renewed.certificate


def certificate_with(names: list[x509.GeneralName] | None) -> x509.Certificate:
    key = authority().private_key
    name = x509.Name([])
    start = datetime.datetime.fromtimestamp(NOW // 1000, tz=datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=1))
    )
    if names is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256())


def test_a_certificate_that_does_not_name_exactly_one_peer_names_none() -> None:
    uri = x509.UniformResourceIdentifier(NODE.uri)
    other = x509.UniformResourceIdentifier(CLIENT.uri)
    foreign = x509.UniformResourceIdentifier("https://example.test/")
    unclear: list[list[x509.GeneralName] | None] = [
        None,
        [x509.DNSName("a")],
        [uri, other],
        [uri, uri],
        [uri, foreign],
        [foreign],
    ]
    for names in unclear:
        certificate = certificate_with(names)
        assert refusal(partial(identity_of, certificate)) is CommonReason.MALFORMED
    assert identity_of(certificate_with([uri])) == NODE


@given(st.binary(max_size=200))
def test_rubbish_is_no_certificate(data: bytes) -> None:
    assert refusal(lambda: load_certificate(data)) is CommonReason.MALFORMED


def test_only_one_certificate_of_bounded_size_is_read() -> None:
    pem = authority().certificate_pem
    assert refusal(lambda: load_certificate(pem + pem)) is CommonReason.MALFORMED
    assert refusal(lambda: load_certificate(b"x" * (PEM_BYTES_MAX + 1))) is CommonReason.TOO_LARGE
    assert refusal(lambda: load_certificate(pem[:-40])) is CommonReason.MALFORMED


def test_a_credential_is_stored_for_its_owner_alone_and_read_back(tmp_path: Path) -> None:
    node = issue(authority(), NODE, LOOPBACK, YEAR, chance(2))
    save_credential(tmp_path, "tls", node)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["tls-certificate.pem", "tls-key.pem"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    read = load_credential(tmp_path, "tls")
    assert read.certificate == node.certificate
    assert read.private_key_pem == node.private_key_pem


def test_a_stored_credential_is_never_overwritten(tmp_path: Path) -> None:
    save_credential(tmp_path, "tls", authority())
    before = (tmp_path / "tls-key.pem").read_bytes()
    reason = refusal(lambda: save_credential(tmp_path, "tls", authority(seed=2)))
    assert reason is CommonReason.INVALID_ARGUMENT
    assert (tmp_path / "tls-key.pem").read_bytes() == before


def test_a_damaged_or_exposed_credential_is_refused(tmp_path: Path) -> None:
    key, certificate = tmp_path / "tls-key.pem", tmp_path / "tls-certificate.pem"

    def load() -> object:
        return load_credential(tmp_path, "tls")

    assert refusal(load) is CommonReason.NOT_FOUND
    save_credential(tmp_path, "tls", authority())
    save_credential(tmp_path, "other", authority(seed=2))
    pem = key.read_bytes()
    key.write_bytes((tmp_path / "other-key.pem").read_bytes())
    assert refusal(load) is CommonReason.MALFORMED
    key.write_bytes(pem[:100])
    assert refusal(load) is CommonReason.MALFORMED
    key.write_bytes(pem + b"\n" * PEM_BYTES_MAX)
    assert refusal(load) is CommonReason.TOO_LARGE
    key.write_bytes(pem)
    key.chmod(0o640)
    assert refusal(load) is CommonReason.PERMISSION_DENIED
    key.chmod(0o600)
    certificate.unlink()
    certificate.mkdir(mode=0o700)
    with pytest.raises(Exception, match=r"tls-certificate\.pem"):
        load()


def test_no_representation_shows_a_private_key() -> None:
    node = issue(authority(), NODE, LOOPBACK, YEAR, chance(2))
    secret = str(node.private_key.private_numbers().private_value)
    assert secret not in repr(node)
    assert "bizchain-1" in repr(node)


def verify(peer: Credential, root: Credential, at_unix_ms: int) -> PeerIdentity:
    """What a TLS library does with a certificate, at a time of the test's own."""
    moment = datetime.datetime.fromtimestamp(at_unix_ms // 1000, tz=datetime.UTC)
    store = verification.Store([root.certificate])
    policy = verification.PolicyBuilder().store(store).time(moment)
    chain = policy.build_client_verifier().verify(peer.certificate, [])
    return identity_of(chain.chain[0])


def test_a_path_is_built_from_a_peer_to_its_own_authority_only() -> None:
    client = issue(authority(), CLIENT, (), YEAR, chance(2))
    assert verify(client, authority(), NOW + DAY_MS) == CLIENT
    with pytest.raises(verification.VerificationError):
        verify(client, authority(seed=5), NOW + DAY_MS)
    with pytest.raises(verification.VerificationError):
        verify(client, authority(), NOW + 366 * DAY_MS)
    with pytest.raises(verification.VerificationError):
        verify(client, authority(), NOW - DAY_MS)


def test_a_peer_cannot_sign_for_another() -> None:
    client = issue(authority(), CLIENT, (), YEAR, chance(2))
    with pytest.raises(Refused):
        issue(client, NODE, LOOPBACK, YEAR, chance(3))
    forged = issue(
        Credential(authority().certificate, client.private_key), NODE, LOOPBACK, YEAR, chance(3)
    )
    with pytest.raises(verification.VerificationError):
        verify(forged, authority(), NOW + DAY_MS)


def test_a_server_is_verified_by_name_and_by_address() -> None:
    node = issue(authority(), NODE, LOOPBACK, YEAR, chance(2)).certificate
    store = verification.Store([authority().certificate])
    moment = datetime.datetime.fromtimestamp(NOW // 1000 + 60, tz=datetime.UTC)
    policy = verification.PolicyBuilder().store(store).time(moment)
    loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    for subject in (x509.DNSName("localhost"), loopback):
        assert policy.build_server_verifier(subject).verify(node, [])
    with pytest.raises(verification.VerificationError):
        policy.build_server_verifier(x509.DNSName("example.test")).verify(node, [])

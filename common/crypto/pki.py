"""The certificates of mutual TLS: one authority for each network, one identity in each certificate.

Who speaks is said by one URI in the subject alternative names, `wutong://<network>/<kind>/<name>`,
and by nothing else; DNS names and addresses say only where a server may be reached. All keys are
ECDSA P-256, because gRPC refuses Ed25519 certificates; a ledger never trusts a TLS key for more
than the connection, and its node set pins the `tls_key_hash` of every node.

    authority = create_authority("devnet", Validity(now, now + AUTHORITY_VALIDITY_MS_MAX), chance)
    identity = PeerIdentity("devnet", PeerKind.NODE, "bizchain-1")
    node = issue(authority, identity, ("localhost", "127.0.0.1"), Validity(now, later), chance)
    identity_of(node.certificate) == identity

Rules: chance (`random_bytes`) and times are handed in, and signatures are deterministic (RFC 6979),
so equal inputs give equal certificates. An authority signs no other authority, and nothing that
outlives it or belongs to another network. Source of the fields: RFC 5280.
"""

from __future__ import annotations

import datetime
import enum
import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from common.crypto.digest import sha256
from common.crypto.privatefile import create_private, read_private
from common.deadline import UNIX_MS_MAX
from common.errors import CommonReason, InvariantBroken, Refused

__all__ = [
    "AUTHORITY_VALIDITY_MS_MAX",
    "CERTIFICATE_VALIDITY_MS_MAX",
    "Credential",
    "PeerIdentity",
    "PeerKind",
    "Validity",
    "create_authority",
    "identity_of",
    "issue",
    "load_certificate",
    "load_credential",
    "parse_identity",
    "save_credential",
    "tls_key_hash",
]

DAY_MS = 24 * 60 * 60 * 1000
AUTHORITY_VALIDITY_MS_MAX = 3_653 * DAY_MS
CERTIFICATE_VALIDITY_MS_MAX = 398 * DAY_MS
PEM_BYTES_MAX = 16 * 1024
HOSTS_MAX = 16
HOST_CHARACTERS_MAX = 253
SERIAL_BYTES = 20
SCALAR_BYTES = 32
SCALAR_DRAWS_MAX = 8  # each draw fails with a chance of 2**-32

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Order of the group of P-256 (SEC 2, secp256r1): a private key is an integer in 1 .. order - 1."""

_SCHEME = "wutong"
_AUTHORITY = "authority"
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_URI = re.compile(rf"{_SCHEME}://({_LABEL})/([a-z]+)/({_LABEL})", re.ASCII)
_DNS_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)

RandomBytes = Callable[[int], bytes]
"""The port of chance: so many unpredictable bytes."""


class PeerKind(enum.Enum):
    """What a peer is on its network. Values are part of the URI: never changed."""

    NODE = "node"
    RELAY = "relay"
    CLIENT = "client"
    ADMIN = "admin"

    @property
    def serves(self) -> bool:
        """Whether a peer of this kind accepts connections; all kinds open them."""
        return self in (PeerKind.NODE, PeerKind.RELAY)


@dataclass(frozen=True, slots=True)
class PeerIdentity:
    """Who is at the other end of a connection. `network` and `name` are lower-case DNS labels."""

    network: str
    kind: PeerKind
    name: str

    def __post_init__(self) -> None:
        """Raises `Refused(INVALID_ARGUMENT)` where the identity has no well-formed URI."""
        if _URI.fullmatch(self.uri) is None:
            message = f"{self.uri!r} needs lower-case letters, digits and hyphens, 1 to 63 a part"
            raise Refused(CommonReason.INVALID_ARGUMENT, message)

    @property
    def uri(self) -> str:
        return f"{_SCHEME}://{self.network}/{self.kind.value}/{self.name}"


@dataclass(frozen=True, slots=True)
class Validity:
    """From when until when a certificate holds. X.509 counts whole seconds: both are floored."""

    not_before_unix_ms: int
    not_after_unix_ms: int

    def __post_init__(self) -> None:
        """Raises `Refused(INVALID_ARGUMENT)` for a span that is empty or off the calendar."""
        if not 0 <= self.not_before_unix_ms < self.not_after_unix_ms <= UNIX_MS_MAX:
            message = f"no validity: {self.not_before_unix_ms} .. {self.not_after_unix_ms}"
            raise Refused(CommonReason.INVALID_ARGUMENT, message)

    @property
    def length_ms(self) -> int:
        return self.not_after_unix_ms - self.not_before_unix_ms


@dataclass(frozen=True, slots=True)
class Credential:
    """A certificate and its private key, which no representation ever shows."""

    certificate: x509.Certificate
    private_key: ec.EllipticCurvePrivateKey

    def __repr__(self) -> str:
        return f"Credential({self.certificate.subject.rfc4514_string()!r})"

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def private_key_pem(self) -> bytes:
        """PKCS #8 without a passphrase, as TLS libraries take it. Secret."""
        return self.private_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


def create_authority(network: str, validity: Validity, random_bytes: RandomBytes) -> Credential:
    """A new authority for `network`, signed by itself, that may sign leaf certificates only.

    Raises `Refused(INVALID_ARGUMENT)` for a network that is no DNS label and for a validity longer
    than `AUTHORITY_VALIDITY_MS_MAX`.
    """
    if re.fullmatch(_LABEL, network, re.ASCII) is None:
        raise Refused(CommonReason.INVALID_ARGUMENT, f"not the name of a network: {network!r}")
    _check_length(validity, AUTHORITY_VALIDITY_MS_MAX)
    key = _draw_key(random_bytes)
    subject = _subject(network, _AUTHORITY, _AUTHORITY)
    builder = (
        _builder(subject, subject, key.public_key(), validity, random_bytes)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
    )
    return Credential(_sign(builder, key), key)


def issue(
    authority: Credential,
    identity: PeerIdentity,
    hosts: Sequence[str],
    validity: Validity,
    random_bytes: RandomBytes,
) -> Credential:
    """A new key and its certificate for `identity`, signed by `authority`.

    `hosts` are the DNS names and IP addresses where the peer is reached, in the order of the
    certificate: at least one for a kind that serves, none for one that does not. Raises
    `Refused(INVALID_ARGUMENT)` for hosts that are none, another network than the authority's, and
    a validity that is longer than `CERTIFICATE_VALIDITY_MS_MAX` or outlives the authority.
    """
    _check_length(validity, CERTIFICATE_VALIDITY_MS_MAX)
    _check_authority(authority.certificate, identity, validity)
    if identity.kind.serves != bool(hosts) or len(hosts) > HOSTS_MAX:
        message = f"{identity.uri} with {len(hosts)} hosts: who serves has 1 to {HOSTS_MAX}"
        raise Refused(CommonReason.INVALID_ARGUMENT, message)
    names = [x509.UniformResourceIdentifier(identity.uri), *(_host(host) for host in hosts)]
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
    if identity.kind.serves:
        usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
    key = _draw_key(random_bytes)
    signer = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(signer.value)
    subject = _subject(identity.network, identity.kind.value, identity.name)
    builder = (
        _builder(subject, authority.certificate.subject, key.public_key(), validity, random_bytes)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(issuer_key, critical=False)
    )
    return Credential(_sign(builder, authority.private_key), key)


def parse_identity(uri: str) -> PeerIdentity:
    """The identity that `uri` writes. Raises `Refused(MALFORMED)` for any other text."""
    match = _URI.fullmatch(uri)
    kinds = {kind.value: kind for kind in PeerKind}
    if match is None or match[2] not in kinds:
        raise Refused(CommonReason.MALFORMED, f"no identity of a peer: {uri[:256]!r}")
    return PeerIdentity(match[1], kinds[match[2]], match[3])


def identity_of(certificate: x509.Certificate) -> PeerIdentity:
    """Who a certificate, already verified by TLS, says its holder is.

    Raises `Refused(MALFORMED)` where it does not carry exactly one URI, or that is no identity:
    a certificate that could be read as two peers is neither's.
    """
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        uris = names.value.get_values_for_type(x509.UniformResourceIdentifier)
    except (
        ValueError,
        x509.DuplicateExtension,
        x509.ExtensionNotFound,
        x509.UnsupportedGeneralNameType,
    ) as error:
        raise Refused(CommonReason.MALFORMED, f"a certificate without names: {error}") from None
    if len(uris) != 1:
        raise Refused(CommonReason.MALFORMED, f"a certificate with {len(uris)} URIs, not one")
    return parse_identity(uris[0])


def tls_key_hash(certificate: x509.Certificate) -> bytes:
    """SHA-256 of the certificate's SubjectPublicKeyInfo (DER), 32 bytes: what a node set pins.

    It stays the same when a certificate is renewed for the same key (RFC 7469 pins the same hash).
    """
    return sha256(
        certificate.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )


def load_certificate(pem: bytes) -> x509.Certificate:
    """The one certificate in `pem`. Raises `Refused`: TOO_LARGE or MALFORMED."""
    if len(pem) > PEM_BYTES_MAX:
        raise Refused(CommonReason.TOO_LARGE, f"a certificate of {len(pem)} bytes")
    try:
        certificates = x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise Refused(CommonReason.MALFORMED, f"no certificate: {error}") from None
    if len(certificates) != 1:
        raise Refused(CommonReason.MALFORMED, f"{len(certificates)} certificates, not one")
    return certificates[0]


def save_credential(folder: Path, name: str, credential: Credential) -> None:
    """Create `<name>-key.pem` and `<name>-certificate.pem` in `folder`, mode 0600, synced.

    The certificate is written last, so a pair whose certificate exists is whole. Raises
    `Refused(INVALID_ARGUMENT)` where one exists, `StorageFailed` where the disk fails.
    """
    create_private(folder / f"{name}-key.pem", credential.private_key_pem)
    create_private(folder / f"{name}-certificate.pem", credential.certificate_pem)


def load_credential(folder: Path, name: str) -> Credential:
    """The pair that `save_credential` wrote.

    Raises `Refused`: what `read_private` raises, and MALFORMED where a file is damaged or the key
    is not the certificate's.
    """
    certificate = load_certificate(read_private(folder / f"{name}-certificate.pem", PEM_BYTES_MAX))
    pem = read_private(folder / f"{name}-key.pem", PEM_BYTES_MAX)
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (TypeError, ValueError, UnsupportedAlgorithm):
        raise Refused(CommonReason.MALFORMED, f"{name}-key.pem is no private key") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Refused(CommonReason.MALFORMED, f"{name}-key.pem is no ECDSA key")
    if key.public_key() != certificate.public_key():
        raise Refused(CommonReason.MALFORMED, f"{name}-key.pem is not the certificate's key")
    return Credential(certificate, key)


def _check_length(validity: Validity, length_ms_max: int) -> None:
    if validity.length_ms > length_ms_max:
        message = f"valid for {validity.length_ms} ms, at most {length_ms_max} ms"
        raise Refused(CommonReason.INVALID_ARGUMENT, message)


def _check_authority(
    authority: x509.Certificate, identity: PeerIdentity, validity: Validity
) -> None:
    """The authority may sign this: same network, and it lives at least as long."""
    if authority.subject != _subject(identity.network, _AUTHORITY, _AUTHORITY):
        message = f"{identity.uri} is not of the network of {authority.subject.rfc4514_string()}"
        raise Refused(CommonReason.INVALID_ARGUMENT, message)
    if _moment(validity.not_before_unix_ms) < authority.not_valid_before_utc or (
        _moment(validity.not_after_unix_ms) > authority.not_valid_after_utc
    ):
        raise Refused(CommonReason.INVALID_ARGUMENT, f"{identity.uri} would outlive its authority")


def _draw_key(random_bytes: RandomBytes) -> ec.EllipticCurvePrivateKey:
    """A private key by rejection sampling, so that every scalar is equally likely."""
    for _ in range(SCALAR_DRAWS_MAX):
        scalar = int.from_bytes(random_bytes(SCALAR_BYTES), "big")
        if 1 <= scalar < P256_ORDER:
            return ec.derive_private_key(scalar, ec.SECP256R1())
    raise InvariantBroken(f"the source of chance gave no scalar in {SCALAR_DRAWS_MAX} draws")


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    validity: Validity,
    random_bytes: RandomBytes,
) -> x509.CertificateBuilder:
    """What every certificate has. The serial has 159 bits of chance and is never 0 (4.1.2.2)."""
    serial = (int.from_bytes(random_bytes(SERIAL_BYTES), "big") >> 1) or 1
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(serial)
        .not_valid_before(_moment(validity.not_before_unix_ms))
        .not_valid_after(_moment(validity.not_after_unix_ms))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _sign(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    return builder.sign(key, hashes.SHA256(), ecdsa_deterministic=True)


def _subject(network: str, kind: str, name: str) -> x509.Name:
    """For people to read, and so that no certificate shares its subject with its issuer."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, f"{_SCHEME} {network}"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, kind),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    if len(host) > HOST_CHARACTERS_MAX or _DNS_NAME.fullmatch(host) is None:
        raise Refused(CommonReason.INVALID_ARGUMENT, f"neither a DNS name nor an address: {host!r}")
    return x509.DNSName(host)


def _moment(unix_ms: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(unix_ms // 1000, tz=datetime.UTC)

"""Who calls: the one identity in the certificate at the other end of a connection.

TLS has proven that the caller holds the key of a certificate the network's authority signed. Who
that is, is said by the certificate's URI alone (`common.crypto.pki`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import grpc

from common.crypto.pki import PeerIdentity, PeerKind, identity_of, load_certificate, tls_key_hash
from common.errors import CommonReason, Refused

__all__ = ["Allow", "Caller", "allow_kinds", "caller_of", "caller_with"]

CALLERS_REMEMBERED_MAX = 1024
CERTIFICATE_PROPERTY = "x509_pem_cert"


class Caller(NamedTuple):
    """A caller of this network. `tls_key_hash` is the 32-byte hash of its certificate's key."""

    identity: PeerIdentity
    tls_key_hash: bytes


Allow: TypeAlias = Callable[[Caller], bool]
"""Whether a caller may use a service."""


def allow_kinds(*kinds: PeerKind) -> Allow:
    """Let every caller of one of these kinds in."""
    return lambda caller: caller.identity.kind in kinds


def caller_of(context: grpc.aio.ServicerContext[Any, Any]) -> Caller:
    """The caller of a call. Raises `Refused(SIGNER_UNKNOWN)` where the certificate names nobody."""
    found = list(context.auth_context().get(CERTIFICATE_PROPERTY, ()))
    if len(found) != 1:
        raise Refused(CommonReason.SIGNER_UNKNOWN, "the connection has no client certificate")
    return caller_with(found[0])


@lru_cache(maxsize=CALLERS_REMEMBERED_MAX)
def caller_with(certificate_pem: bytes) -> Caller:
    """The caller that holds this certificate. Raises `Refused(SIGNER_UNKNOWN)`."""
    try:
        certificate = load_certificate(certificate_pem)
        return Caller(identity_of(certificate), tls_key_hash(certificate))
    except Refused as refused:
        raise Refused(CommonReason.SIGNER_UNKNOWN, refused.message) from None

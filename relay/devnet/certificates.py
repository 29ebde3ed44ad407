"""TLS credentials of parties on a local network, issued where the authority's key is at hand.

A node shows a party what its certificate's name may see (`common.ledger.reading`). Whoever has no
authority key is given a certificate by who has, and puts it into the key folder.
"""

from __future__ import annotations

from common.crypto.pki import (
    CERTIFICATE_VALIDITY_MS_MAX,
    Credential,
    PeerIdentity,
    PeerKind,
    Validity,
    issue,
    load_credential,
    save_credential,
)
from common.crypto.signing import RandomBytes
from common.errors import CommonReason, Refused
from relay.devnet.layout import KeyFolder

__all__ = ["AUTHORITY_NAME", "party_credential"]

AUTHORITY_NAME = "authority"
START_BEFORE_MS = 3_600_000
"""A certificate holds from an hour ago on, or from when its authority does."""


def party_credential(
    keys: KeyFolder, network: str, party_id: str, now_unix_ms: int, random_bytes: RandomBytes
) -> Credential | None:
    """The credential of a party in the key folder; made now where the authority's key is there.

    None where there is neither, and for an id that no certificate carries (it ends in a hyphen).
    Raises `Refused(MALFORMED)` for damaged files.
    """
    try:
        identity = PeerIdentity(network, PeerKind.CLIENT, party_id)
    except Refused:
        return None
    found = _load(keys, party_id)
    if found is not None:
        return found
    try:
        authority = load_credential(keys.path, AUTHORITY_NAME)
    except Refused as refused:
        if refused.reason is not CommonReason.NOT_FOUND:
            raise
        return None
    began_unix_ms = int(authority.certificate.not_valid_before_utc.timestamp()) * 1_000
    start = max(began_unix_ms, now_unix_ms - START_BEFORE_MS)
    validity = Validity(start, start + CERTIFICATE_VALIDITY_MS_MAX)
    made = issue(authority, identity, (), validity, random_bytes)
    keys.certificates.mkdir(mode=0o700, parents=True, exist_ok=True)
    save_credential(keys.certificates, party_id, made)
    return made


def _load(keys: KeyFolder, party_id: str) -> Credential | None:
    try:
        return load_credential(keys.certificates, party_id)
    except Refused as refused:
        if refused.reason is not CommonReason.NOT_FOUND:
            raise
        return None

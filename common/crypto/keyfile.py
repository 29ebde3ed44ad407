"""Private signing keys on disk: PKCS #8 PEM, readable by their owner alone.

A key file is created once, synced, with mode 0600, and never overwritten. A file that its group or
the world may touch is refused when read, as is one that is damaged: nothing here ever makes a new
key in place of one that cannot be read. A passphrase encrypts the file (PKCS #5, PBES2).

    save_signing_key(path, key, passphrase=b"correct horse")
    load_signing_key(path, passphrase=b"correct horse")

`cryptography` reads and writes the container only; every signature is made by `signing`.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from common.crypto.privatefile import create_private, read_private
from common.crypto.signing import SigningKey
from common.errors import CommonReason, Refused

__all__ = ["load_signing_key", "save_signing_key"]

KEY_FILE_BYTES_MAX = 16 * 1024


def save_signing_key(path: Path, key: SigningKey, passphrase: bytes | None = None) -> None:
    """Create the file `path` with `key` in it and sync it and its folder.

    Raises `Refused(INVALID_ARGUMENT)` where the path exists or the passphrase is empty, and
    `StorageFailed` where the disk fails.
    """
    if passphrase == b"":
        raise Refused(CommonReason.INVALID_ARGUMENT, "an empty passphrase protects nothing")
    protection: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        protection = serialization.BestAvailableEncryption(passphrase)
    pem = Ed25519PrivateKey.from_private_bytes(key.seed).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection
    )
    create_private(path, pem)


def load_signing_key(path: Path, passphrase: bytes | None = None) -> SigningKey:
    """The signing key stored in `path`.

    Raises `Refused`: NOT_FOUND for a missing file, PERMISSION_DENIED where group or world have any
    permission on it, TOO_LARGE, MALFORMED for a file that is no Ed25519 key in PKCS #8 PEM,
    INVALID_ARGUMENT for a wrong, missing or unneeded passphrase. Raises `StorageFailed` where the
    disk fails.
    """
    pem = read_private(path, KEY_FILE_BYTES_MAX)
    try:
        loaded = serialization.load_pem_private_key(pem, passphrase)
    except TypeError as error:  # a passphrase missing, or one given for a file without any
        raise Refused(CommonReason.INVALID_ARGUMENT, f"{path}: {error}") from None
    except (ValueError, UnsupportedAlgorithm):
        if passphrase is not None:
            message = f"{path}: the passphrase is wrong or the file is damaged"
            raise Refused(CommonReason.INVALID_ARGUMENT, message) from None
        raise Refused(CommonReason.MALFORMED, f"{path} is no private key") from None
    if not isinstance(loaded, Ed25519PrivateKey):
        raise Refused(CommonReason.MALFORMED, f"{path} is no Ed25519 key")
    return SigningKey(loaded.private_bytes_raw())

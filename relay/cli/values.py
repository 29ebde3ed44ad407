"""Values as people type and read them: 12.34 CNY, 24.75 TNE, a transfer id in hexadecimal."""

from __future__ import annotations

import datetime
from pathlib import Path

import typer

from common.amount import base_quantity, format_amount, format_quantity, minor_units, unit_of
from common.crypto.digest import DIGEST_BYTES
from common.crypto.keyfile import load_signing_key
from common.crypto.privatefile import create_private
from common.errors import Refused
from relay.devnet.layout import KeyFolder

__all__ = [
    "amount_of",
    "create_file",
    "digest_of",
    "moment_of",
    "money",
    "public_key_of",
    "quantity_of",
    "units",
]


def amount_of(text: str, currency: str) -> int:
    """Minor units of an amount; a usage error for anything else."""
    try:
        return minor_units(text, currency)
    except Refused as refused:
        raise typer.BadParameter(refused.message) from None


def quantity_of(text: str, unit: str) -> tuple[int, str]:
    """Base units of a quantity, and which they are; a usage error for anything else."""
    try:
        return base_quantity(text, unit), unit_of(unit).base
    except Refused as refused:
        raise typer.BadParameter(refused.message) from None


def digest_of(text: str) -> bytes:
    """An id of 32 bytes in hexadecimal; a usage error for anything else."""
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        digest = b""
    if len(digest) != DIGEST_BYTES:
        raise typer.BadParameter(f"{2 * DIGEST_BYTES} hexadecimal digits expected")
    return digest


def moment_of(text: str) -> int:
    """The last millisecond of a day in UTC, 2027-12-31; a usage error for anything else."""
    try:
        day = datetime.datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=datetime.UTC)
        following = day + datetime.timedelta(days=1)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r}: a day expected, 2027-12-31") from None
    return round(following.timestamp()) * 1000 - 1


def public_key_of(keys: KeyFolder, party_id: str, text: str) -> tuple[str, bytes]:
    """User id and public key of USER, whose key is in the folder, or of USER=PUBLICKEY."""
    user_id, _, public_key = text.partition("=")
    if not public_key:
        return user_id, load_signing_key(keys.user(party_id, user_id)).public_key
    try:
        return user_id, bytes.fromhex(public_key)
    except ValueError:
        raise typer.BadParameter(f"{text!r}: USER or USER=PUBLICKEY in hexadecimal") from None


def create_file(path: Path, data: bytes) -> None:
    """Create a file with mode 0600; a usage error where it exists or has no folder."""
    if not path.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {path.parent}")
    if path.exists():
        raise typer.BadParameter(f"{path} exists; nothing is overwritten")
    create_private(path, data)


def money(minor: int, currency: str) -> str:
    """An amount for people: 12.34 CNY."""
    return f"{format_amount(minor, currency)} {currency}"


def units(quantity: int, unit: str) -> str:
    """A quantity for people: 24750000 GRM."""
    return f"{format_quantity(quantity, unit)} {unit}"

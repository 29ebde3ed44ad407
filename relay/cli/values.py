"""Values as people type and read them: 12.34 CNY, 24.75 TNE, a transfer id in hexadecimal."""

from __future__ import annotations

from pathlib import Path

import typer

from common.amount import base_quantity, format_amount, format_quantity, minor_units, unit_of
from common.crypto.digest import DIGEST_BYTES
from common.crypto.privatefile import create_private
from common.errors import Refused

__all__ = ["amount_of", "create_file", "digest_of", "money", "quantity_of", "units"]


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

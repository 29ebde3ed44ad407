"""`wutong keys`: the keys of users. A private key is never printed and never overwritten."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Annotated

import typer

from common.crypto.keyfile import load_signing_key, save_signing_key
from common.crypto.signing import SigningKey
from relay.cli.command import local_command, noun
from relay.cli.output import Output, print_record, print_records
from relay.devnet.layout import KeyFolder

__all__ = ["add"]


Keys = Annotated[Path, typer.Option("--keys", envvar="WUTONG_KEYS", help="The folder of keys.")]
Party = Annotated[str, typer.Argument(help="Party id.")]
User = Annotated[str, typer.Argument(help="User id.")]


def add(root: typer.Typer) -> None:
    """Add the noun to the command line."""
    app = noun(root, "keys", "Signing keys of users, in files that only their owner may read.")
    local_command(app, "generate")(generate)
    local_command(app, "show")(show)
    local_command(app, "list")(list_keys)


def generate(output: Output, party: Party, user: User, keys: Keys = Path(".wutong/keys")) -> None:
    """Make a key for a user. WUTONG_PASSPHRASE, where it is set, encrypts the file."""
    path = KeyFolder(keys).user(party, user)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = SigningKey.generate(secrets.token_bytes)
    save_signing_key(path, key, _passphrase())
    print_record(_record(party, user, path, key), output)


def show(output: Output, party: Party, user: User, keys: Keys = Path(".wutong/keys")) -> None:
    """Show the public key of a user, to be registered with its party."""
    path = KeyFolder(keys).user(party, user)
    print_record(_record(party, user, path, load_signing_key(path, _passphrase())), output)


def list_keys(output: Output, keys: Keys = Path(".wutong/keys")) -> None:
    """List whose keys are in the folder."""
    found = sorted((keys / "parties").glob("*/*-key.pem"))
    records = [
        {"party": path.parent.name, "user": path.name.removesuffix("-key.pem"), "file": str(path)}
        for path in found
    ]
    print_records(records, output, columns=("party", "user", "file"))


def _record(party: str, user: str, path: Path, key: SigningKey) -> dict[str, object]:
    return {"party": party, "user": user, "public_key": key.public_key, "file": str(path)}


def _passphrase() -> bytes | None:
    text = os.environ.get("WUTONG_PASSPHRASE")
    return text.encode() if text else None

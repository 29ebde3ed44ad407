"""The parties of one play. Their keys are made for it and kept in the key folder.

A party id is a word and the number of the play (`supplier-c3`), so that plays never meet.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from common.crypto.keyfile import load_signing_key, save_signing_key
from common.crypto.privatefile import create_private, read_private
from common.crypto.sealing import KEY_BYTES, ReaderKey
from common.crypto.signing import RandomBytes, SigningKey
from common.errors import CommonReason, Refused
from common.ledger.compose import Author
from relay.devnet.layout import KeyFolder

__all__ = ["Actor", "author_of", "make_actor", "party_id_from", "reading_key_of"]

STEM_CHARACTERS_MAX = 20
USER = "clerk"


@dataclass(frozen=True, slots=True)
class Actor:
    """A party of the play and its one user."""

    party_id: str
    name: str
    roles: tuple[str, ...]
    author: Author
    user_id: str = USER
    legal_entity_identifier: str = ""

    @property
    def signer(self) -> str:
        """As the command line names it: supplier-3/clerk."""
        return f"{self.party_id}/{self.user_id}"


def make_actor(
    keys: KeyFolder,
    party_id: str,
    name: str,
    roles: tuple[str, ...],
    random_bytes: RandomBytes,
    legal_entity_identifier: str = "",
) -> Actor:
    """A party with a new key, written to the key folder."""
    path = keys.user(party_id, USER)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = SigningKey.generate(random_bytes)
    save_signing_key(path, key)
    author = Author(party_id, key)
    return Actor(party_id, name, roles, author, legal_entity_identifier=legal_entity_identifier)


def author_of(keys: KeyFolder, party_id: str, user_id: str) -> Author:
    """A user of a party, with the key in the key folder. Raises `Refused` as `load_signing_key`."""
    path = keys.user(party_id, user_id)
    try:
        return Author(party_id, load_signing_key(path))
    except Refused as refused:
        if refused.reason is not CommonReason.NOT_FOUND:
            raise
        message = f"there is no key {path}; `wutong keys generate {party_id} {user_id}` makes one"
        raise Refused(CommonReason.NOT_FOUND, message) from None


def reading_key_of(
    keys: KeyFolder, party_id: str, user_id: str, random_bytes: RandomBytes
) -> ReaderKey:
    """The key with which a user reads what is sealed to it; made where there is none."""
    path = keys.reading(party_id, user_id)
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        create_private(path, ReaderKey.generate(random_bytes).private_bytes)
    return ReaderKey(read_private(path, KEY_BYTES))


def party_id_from(name: str, number: int, otherwise: str) -> str:
    """A party id made of the first words of an organisation's name, or of another word.

    "Baihe Steel Works Co., Ltd.", 3 is baihe-steel-works-co-c3.
    """
    words = re.sub(r"[^a-z0-9]+", " ", name.lower()).split()
    stem = ""
    for word in words:
        if len(stem) + len(word) >= STEM_CHARACTERS_MAX:
            break
        stem = f"{stem}-{word}" if stem else word
    return f"{stem or otherwise}-c{number}"

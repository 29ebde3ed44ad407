"""The consortium of every simulated world: the same geneses, keys and link, whatever the seed."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from common.crypto.digest import sha256
from common.crypto.signing import SigningKey, sign
from common.crypto.verifymemo import VerifyMemo
from common.encoding import encode
from common.ledger.certificate import NodeEntry, NodeSet
from common.ledger.compose import Author
from common.ledger.genesis import Genesis, Member, Parameters, chain_id_of
from common.ledger.identity import Party, PartyStatus, RoleGrant, User
from common.ledger.lightclient import link_digest
from common.raft.quorum import certificate_quorum
from common.v1.transfer_pb2 import Link, PartySignature
from relay.agreement import Pair

__all__ = [
    "ASSET",
    "BUSINESS",
    "BUYERS",
    "START_UNIX_MS",
    "SUPPLIERS",
    "Founding",
    "author",
    "found",
    "key_of",
    "make_party",
]

BUSINESS, ASSET = "bizchain", "assetchain"
START_UNIX_MS = 1_800_000_000_000
FOREVER_UNIX_MS = 253_402_300_000_000
MEMBERS = (("bank", "bank"), ("core", "core"), ("logistics", "carrier"), ("warehouse", "warehouse"))
SUPPLIERS = ("supplier-1", "supplier-2")
BUYERS = ("buyer-1", "buyer-2", "buyer-3")
PARAMETERS = Parameters(2_000, 600_000, 30_000, 5, "platform")
MEMO_ENTRIES_MAX = 50_000

MEMO = VerifyMemo(MEMO_ENTRIES_MAX)
"""One memory of verdicts for all nodes and all worlds of this process: verdicts never change."""


class Founding(NamedTuple):
    """Two geneses, and the operations that link them."""

    business: Genesis
    asset: Genesis
    pair: Pair
    links: dict[str, Link]


@cache
def key_of(name: str) -> SigningKey:
    """The key of a node, a member or a user."""
    return SigningKey(sha256(name.encode()))


@cache
def author(party: str, user: str = "officer") -> Author:
    """A user of a party, who signs for it."""
    return Author(party, key_of(f"{party}/{user}"))


def make_party(party_id: str, *roles: str, users: tuple[str, ...] = ("officer",)) -> Party:
    """An active party."""
    return Party(
        party_id,
        party_id.title(),
        "",
        PartyStatus.ACTIVE,
        tuple(RoleGrant(role, FOREVER_UNIX_MS) for role in roles),
        tuple(User(user, author(party_id, user).key.public_key) for user in users),
        b"",
    )


@cache
def found() -> Founding:
    """The consortium: four members, each with a node of both chains; the parties all know."""
    business, asset = _genesis(BUSINESS), _genesis(ASSET)
    pair = Pair(chain_id_of(business), chain_id_of(asset))
    links = {BUSINESS: _link(pair.business, asset), ASSET: _link(pair.asset, business)}
    return Founding(business, asset, pair, links)


def _genesis(chain: str) -> Genesis:
    nodes = tuple(
        NodeEntry(f"{chain}-{member}", member, role, _node_key(chain, member), bytes(32))
        for member, role in MEMBERS
    )
    return Genesis(
        1,
        chain,
        "simulation",
        START_UNIX_MS,
        NodeSet(0, nodes, certificate_quorum(len(nodes))),
        tuple(Member(member, member.title(), key_of(member).public_key) for member, _ in MEMBERS),
        PARAMETERS,
        (
            make_party("appraiser", "appraiser"),
            make_party("bank", "bank"),
            *(make_party(buyer, "buyer") for buyer in BUYERS),
            make_party("platform", "administrator", "platform", users=("checker", "maker")),
            make_party("regulator", "regulator"),
            *(make_party(supplier, "supplier") for supplier in SUPPLIERS),
            make_party("warehouse", "warehouse"),
        ),
    )


def _node_key(chain: str, member: str) -> bytes:
    return key_of(f"{chain}-{member}").public_key


def _link(chain_id: bytes, peer: Genesis) -> Link:
    digest = link_digest(chain_id, peer)
    signatures = [
        PartySignature(
            party=member,
            public_key=key_of(member).public_key,
            signature=sign(key_of(member), digest),
        )
        for member, _ in MEMBERS[:3]
    ]
    return Link(peer_genesis=encode(peer), signatures=signatures)

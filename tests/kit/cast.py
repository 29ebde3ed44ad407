"""Who appears in tests of both chains: parties, users, nodes, members, and their keys."""

from __future__ import annotations

from functools import cache

from common.crypto.digest import sha256
from common.crypto.pki import PeerIdentity, PeerKind
from common.crypto.signing import SigningKey
from common.deadline import UNIX_MS_MAX
from common.ledger.certificate import NodeEntry, NodeSet
from common.ledger.compose import Author
from common.ledger.genesis import Genesis, Member, Parameters
from common.ledger.identity import Party, PartyStatus, RoleGrant, User

START_UNIX_MS = 1_800_000_000_000
NODE_IDS = ("bank-1", "core-1", "logistics-1", "warehouse-1")
FEE_BASIS_POINTS = 50
FEE_PARTY = "platform-1"
"""No party yet in the genesis: the first fees wait for it in pots."""

PARAMETERS = Parameters(10_000, 3_600_000, 30_000, FEE_BASIS_POINTS, FEE_PARTY)

TRADERS = ("alice", "bob", "carol")
ROLES: dict[str, tuple[str, ...]] = {
    "operator": ("administrator", "core"),
    "regulator": ("regulator",),
    "bank": ("bank",),
    "second-bank": ("bank",),
    "warehouse": ("warehouse",),
    "appraiser": ("appraiser",),
    **dict.fromkeys(TRADERS, ("supplier", "buyer")),
}
MAKER, CHECKER = "maker", "checker"
OPERATOR = PeerIdentity("test", PeerKind.ADMIN, "operator")
"""Who calls where nobody in particular does: one who reads everything."""


@cache
def key_of(name: str) -> SigningKey:
    return SigningKey(sha256(name.encode()))


def node_key(chain: str, node_id: str) -> SigningKey:
    """Each chain has its own node keys."""
    return key_of(f"{chain}/{node_id}")


def author(name: str) -> Author | None:
    """A party's user: `alice`, or `operator:checker` for the second user of the operator."""
    if not name:
        return None
    party_id, _, user = name.partition(":")
    return Author(party_id, key_of(f"{party_id}:{user or MAKER}"))


def party(party_id: str, *roles: str, until_unix_ms: int = UNIX_MS_MAX) -> Party:
    users = tuple(User(user, key_of(f"{party_id}:{user}").public_key) for user in (CHECKER, MAKER))
    grants = tuple(RoleGrant(role, until_unix_ms) for role in roles)
    return Party(party_id, party_id.title(), "", PartyStatus.ACTIVE, grants, users, b"")


def genesis(chain: str, parameters: Parameters = PARAMETERS) -> Genesis:
    """Four nodes of three members; all parties but the platform's are there from the start."""
    entries = tuple(
        NodeEntry(node_id, "core", "voter", node_key(chain, node_id).public_key, bytes(32))
        for node_id in NODE_IDS
    )
    members = tuple(
        Member(member, member.title(), key_of(f"member/{member}").public_key)
        for member in ("bank", "core", "warehouse")
    )
    return Genesis(
        1,
        chain,
        "test",
        START_UNIX_MS,
        NodeSet(0, entries, 3),
        members,
        parameters,
        tuple(party(name, *roles) for name, roles in ROLES.items()),
    )

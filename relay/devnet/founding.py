"""Who founds the consortium, and the genesis of each chain.

Four members (core enterprise, logistics company, warehouse, bank) run one node of each chain. The
platform itself is a party of both geneses, with two users, a maker and a checker. So is an
oversight office, without which nobody could change the platform: no firm judges itself. A regulator
is another. All other parties join on chain.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from common.crypto.signing import PublicKey
from common.deadline import UNIX_MS_MAX
from common.ledger.certificate import NodeEntry, NodeSet
from common.ledger.genesis import GENESIS_VERSION, Genesis, Member, Parameters
from common.ledger.identity import Party, PartyStatus, RoleGrant, User
from common.raft.quorum import certificate_quorum

__all__ = [
    "CHAINS",
    "FOUNDING_USERS",
    "MEMBERS",
    "NETWORK",
    "OVERSIGHT",
    "PARAMETERS",
    "PLATFORM",
    "REGULATOR",
    "FounderKeys",
    "MemberProfile",
    "NodeKeys",
    "found",
    "node_id_of",
]

NETWORK = "wutong-local"
CHAINS = ("bizchain", "assetchain")
PLATFORM = "platform"
OVERSIGHT = "oversight"
REGULATOR = "regulator"

PARAMETERS = Parameters(
    deadline_min_ms=2_000,
    deadline_max_ms=7 * 24 * 3_600_000,
    freeze_lag_max_ms=30_000,
    trade_fee_basis_points=5,
    fee_party=PLATFORM,
)


class MemberProfile(NamedTuple):
    """A founding member. `role` stands in the node sets."""

    member_id: str
    name: str
    role: str


MEMBERS = (
    MemberProfile("bank", "Bank of the Consortium", "bank"),
    MemberProfile("core", "Core Enterprise", "core"),
    MemberProfile("logistics", "Logistics Company", "carrier"),
    MemberProfile("warehouse", "Warehouse Company", "warehouse"),
)
"""In order of their ids, as a genesis lists them."""

FOUNDING_USERS: Mapping[str, tuple[str, ...]] = {
    OVERSIGHT: ("checker", "maker"),
    PLATFORM: ("checker", "maker"),
    REGULATOR: ("officer",),
}


class NodeKeys(NamedTuple):
    """What a genesis pins of a node."""

    public_key: PublicKey
    tls_key_hash: bytes


class FounderKeys(NamedTuple):
    """The public keys of a founding: members, users as (party, user), nodes by id."""

    members: Mapping[str, PublicKey]
    users: Mapping[tuple[str, str], PublicKey]
    nodes: Mapping[str, NodeKeys]


def node_id_of(chain: str, member_id: str) -> str:
    """The id of the node a member runs of a chain: bizchain-bank."""
    return f"{chain}-{member_id}"


def found(chain: str, keys: FounderKeys, created_unix_ms: int) -> Genesis:
    """The genesis of a chain of this consortium."""
    nodes = tuple(
        NodeEntry(
            node_id_of(chain, member.member_id),
            member.member_id,
            member.role,
            *keys.nodes[node_id_of(chain, member.member_id)],
        )
        for member in MEMBERS
    )
    return Genesis(
        GENESIS_VERSION,
        chain,
        NETWORK,
        created_unix_ms,
        NodeSet(0, nodes, certificate_quorum(len(nodes))),
        tuple(
            Member(member.member_id, member.name, keys.members[member.member_id])
            for member in MEMBERS
        ),
        PARAMETERS,
        (
            _party(OVERSIGHT, "Oversight Office of the Consortium", ("administrator",), keys),
            _party(PLATFORM, "Platform of the Consortium", ("administrator", "platform"), keys),
            _party(REGULATOR, "Regulator", ("regulator",), keys),
        ),
    )


def _party(party_id: str, name: str, roles: tuple[str, ...], keys: FounderKeys) -> Party:
    return Party(
        party_id,
        name,
        "",
        PartyStatus.ACTIVE,
        tuple(RoleGrant(role, UNIX_MS_MAX) for role in roles),
        tuple(User(user, keys.users[party_id, user]) for user in FOUNDING_USERS[party_id]),
        b"",
    )

"""The genesis: the one document a chain begins with. Its hash is the chain's id.

The core enterprise names the first nodes, their member organisations, the first parties and the
parameters. A genesis does not name the other chain (their hashes would be circular): `link` does.
"""

from __future__ import annotations

from common.crypto.digest import Tag, tagged
from common.encoding import Canonical, encode
from common.errors import CommonReason, Refused
from common.ledger.certificate import NodeSet, check_node_set
from common.ledger.identity import Party, check_party

__all__ = ["Genesis", "Member", "Parameters", "chain_id_of", "check_genesis", "is_majority"]

GENESIS_VERSION = 1


class Member(Canonical, frozen=True):
    """An organisation of the consortium; its key signs governance acts (`link` first)."""

    member_id: str
    name: str
    public_key: bytes


class Parameters(Canonical, frozen=True):
    """Numbers the rules are judged by. Times in milliseconds.

    `deadline_min_ms` and `deadline_max_ms` bound a transfer's deadline from the block time of its
    first reservation and are equal on both chains of a pair.
    """

    deadline_min_ms: int
    deadline_max_ms: int
    freeze_lag_max_ms: int
    trade_fee_basis_points: int
    fee_party: str


class Genesis(Canonical, frozen=True):
    """Everything a node must agree on before the first block."""

    version: int
    chain_name: str
    network: str
    created_unix_ms: int
    node_set: NodeSet
    members: tuple[Member, ...]
    parameters: Parameters
    parties: tuple[Party, ...]


def chain_id_of(genesis: Genesis) -> bytes:
    """The 32-byte id of the chain that begins with `genesis`."""
    return tagged(Tag.GENESIS, encode(genesis))


def is_majority(count: int, total: int) -> bool:
    """More than half of `total`."""
    return 2 * count > total


def check_genesis(genesis: Genesis) -> None:
    """Refuse a genesis no node could run. Raises `Refused`."""
    if genesis.version != GENESIS_VERSION:
        raise Refused(
            CommonReason.INVALID_ARGUMENT, f"genesis version {genesis.version} is unknown"
        )
    check_node_set(genesis.node_set)
    ids = [member.member_id for member in genesis.members]
    if not ids or ids != sorted(set(ids)):
        raise Refused(
            CommonReason.INVALID_ARGUMENT, "members are listed once each, in order of ids"
        )
    if any(node.member not in ids for node in genesis.node_set.nodes):
        raise Refused(CommonReason.INVALID_ARGUMENT, "a node belongs to no member")
    parameters = genesis.parameters
    if not 0 < parameters.deadline_min_ms < parameters.deadline_max_ms:
        raise Refused(CommonReason.INVALID_ARGUMENT, "deadline_min_ms < deadline_max_ms must hold")
    if parameters.freeze_lag_max_ms <= 0 or not 0 <= parameters.trade_fee_basis_points <= 10_000:
        raise Refused(CommonReason.INVALID_ARGUMENT, "a parameter is out of its range")
    for party in genesis.parties:
        check_party(party)

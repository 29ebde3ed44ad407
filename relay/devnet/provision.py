"""First use of a data folder: authority, members, keys, both geneses, a folder for each node.

Everything is made beside the folder and moved into place at the end, so a folder is whole or not
there. What was left of a provisioning that was cut short was never used, and is made anew.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from common.crypto.keyfile import load_signing_key, save_signing_key
from common.crypto.pki import (
    AUTHORITY_VALIDITY_MS_MAX,
    CERTIFICATE_VALIDITY_MS_MAX,
    Credential,
    PeerIdentity,
    PeerKind,
    Validity,
    create_authority,
    issue,
    save_credential,
    tls_key_hash,
)
from common.crypto.privatefile import create_private
from common.crypto.sealing import ReaderKey
from common.crypto.signing import RandomBytes, SigningKey
from common.errors import CommonReason, Refused
from common.ledger.genesis import Genesis, chain_id_of
from common.network import Network, NetworkChain, NetworkNode
from common.networkfile import save_network
from common.node.folder import format_node
from common.node.settings import ProcessSettings
from relay.devnet.founding import (
    CHAINS,
    FOUNDING_USERS,
    MEMBERS,
    NETWORK,
    FounderKeys,
    NodeKeys,
    found,
    node_id_of,
)
from relay.devnet.layout import DataFolder
from relay.folder import format_relay
from relay.settings import RelaySettings, load_settings

__all__ = ["CLIENT_NAME", "HOST", "Ports", "provision", "relay_address"]

HOST = "127.0.0.1"
CLIENT_NAME = "client"
"""The operator's credential in the key folder. An administrator of the network reads all."""

OPERATOR = "operator"
RELAY_ID = "relay-1"
NETWORK_FILE_FROM_NODE = "../../network.toml"
NETWORK_FILE_FROM_RELAY = "../network.toml"
PORT_MAX = 65_535
CLOCK_SLACK_MS = 24 * 3_600_000
"""Certificates hold from a day ago on: a machine whose clock is set right later still starts."""


class Ports(NamedTuple):
    """Ports in a row: the nodes of each chain in order of their ids, then the relay."""

    base: int

    def node(self, chain: str, member_id: str) -> int:
        place = [member.member_id for member in MEMBERS].index(member_id)
        return self.base + CHAINS.index(chain) * len(MEMBERS) + place

    @property
    def relay(self) -> int:
        return self.base + len(CHAINS) * len(MEMBERS)


class _Maker:
    """Makes keys and certificates of one network."""

    def __init__(self, now_unix_ms: int, random_bytes: RandomBytes) -> None:
        start = max(0, now_unix_ms - CLOCK_SLACK_MS)
        self._random_bytes = random_bytes
        self._leaf = Validity(start, start + CERTIFICATE_VALIDITY_MS_MAX)
        authority = Validity(start, start + AUTHORITY_VALIDITY_MS_MAX)
        self.authority = create_authority(NETWORK, authority, random_bytes)

    def key(self) -> SigningKey:
        return SigningKey.generate(self._random_bytes)

    def credential(self, kind: PeerKind, name: str) -> Credential:
        hosts = (HOST,) if kind.serves else ()
        identity = PeerIdentity(NETWORK, kind, name)
        return issue(self.authority, identity, hosts, self._leaf, self._random_bytes)


def provision(
    data: DataFolder, *, base_port: int, now_unix_ms: int, random_bytes: RandomBytes
) -> bool:
    """Make a data folder ready for a first start. False where it already is.

    Raises `Refused(INVALID_ARGUMENT)` for ports that do not exist and for a folder that holds
    something else.
    """
    if data.network.exists():
        return False
    ports = Ports(base_port)
    if not 0 < base_port <= ports.relay <= PORT_MAX:
        raise Refused(CommonReason.INVALID_ARGUMENT, f"there are no nine ports from {base_port} on")
    if data.path.exists() and any(data.path.iterdir()):
        message = f"{data.path} holds something, and it is no data folder"
        raise Refused(CommonReason.INVALID_ARGUMENT, message)
    draft = DataFolder(data.path.with_name(f".{data.path.name}.new"))
    shutil.rmtree(draft.path, ignore_errors=True)
    draft.path.mkdir(mode=0o700, parents=True)
    _fill(draft, ports, now_unix_ms, _Maker(now_unix_ms, random_bytes), random_bytes)
    if data.path.exists():
        data.path.rmdir()
    draft.path.rename(data.path)
    return True


def relay_address(data: DataFolder) -> str:
    """Where the relay of a data folder answers. Raises `Refused(NOT_FOUND)` where there is none."""
    try:
        return load_settings(data.relay).listen
    except Refused as refused:
        if refused.reason is not CommonReason.NOT_FOUND:
            raise
        message = f"{data.path} has no relay: say where one answers, with --relay HOST:PORT"
        raise Refused(CommonReason.NOT_FOUND, message) from None


def _fill(
    data: DataFolder, ports: Ports, now_unix_ms: int, maker: _Maker, random_bytes: RandomBytes
) -> None:
    keys = _make_keys(data, maker)
    credentials = {
        node_id_of(chain, member.member_id): maker.credential(
            PeerKind.NODE, node_id_of(chain, member.member_id)
        )
        for chain in CHAINS
        for member in MEMBERS
    }
    node_keys = {node_id: maker.key() for node_id in credentials}
    founders = FounderKeys(
        {member.member_id: _public(data.keys.member(member.member_id)) for member in MEMBERS},
        keys,
        {
            node_id: NodeKeys(key.public_key, tls_key_hash(credentials[node_id].certificate))
            for node_id, key in node_keys.items()
        },
    )
    geneses = {chain: found(chain, founders, now_unix_ms) for chain in CHAINS}
    network = _network(geneses, ports, maker.authority)
    for chain, genesis in geneses.items():
        for member in MEMBERS:
            node_id = node_id_of(chain, member.member_id)
            settings = ProcessSettings(
                chain_name=chain,
                node_id=node_id,
                listen=f"{HOST}:{ports.node(chain, member.member_id)}",
                network_file=NETWORK_FILE_FROM_NODE,
            )
            format_node(
                data.node(node_id),
                settings,
                genesis,
                node_keys[node_id],
                credentials[node_id],
                network,
            )
    format_relay(
        data.relay,
        RelaySettings(
            relay_id=RELAY_ID,
            listen=f"{HOST}:{ports.relay}",
            network_file=NETWORK_FILE_FROM_RELAY,
        ),
        maker.credential(PeerKind.RELAY, RELAY_ID),
        network,
        random_bytes,
    )
    create_private(data.keys.reader, ReaderKey.generate(random_bytes).private_bytes)
    save_network(data.network, network)


def _make_keys(data: DataFolder, maker: _Maker) -> Mapping[tuple[str, str], bytes]:
    """Keys of members and founding users; credentials of operator and founding parties.

    Returns the users' keys.
    """
    folder = data.keys.path
    folder.mkdir(mode=0o700)
    save_credential(folder, "authority", maker.authority)
    save_credential(folder, CLIENT_NAME, maker.credential(PeerKind.ADMIN, OPERATOR))
    data.keys.certificates.mkdir(mode=0o700)
    for party in FOUNDING_USERS:
        save_credential(data.keys.certificates, party, maker.credential(PeerKind.CLIENT, party))
    for member in MEMBERS:
        _save(data.keys.member(member.member_id), maker.key())
    for party, users in FOUNDING_USERS.items():
        for user in users:
            _save(data.keys.user(party, user), maker.key())
    return {
        (party, user): _public(data.keys.user(party, user))
        for party, users in FOUNDING_USERS.items()
        for user in users
    }


def _network(geneses: Mapping[str, Genesis], ports: Ports, authority: Credential) -> Network:
    return Network(
        NETWORK,
        authority.certificate_pem,
        tuple(
            NetworkChain(
                chain,
                chain_id_of(genesis),
                tuple(
                    NetworkNode(entry.node_id, f"{HOST}:{ports.node(chain, entry.member)}")
                    for entry in genesis.node_set.nodes
                ),
            )
            for chain, genesis in geneses.items()
        ),
    )


def _save(path: Path, key: SigningKey) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    save_signing_key(path, key)


def _public(path: Path) -> bytes:
    return load_signing_key(path).public_key

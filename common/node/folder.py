r"""The folder of a node process: made once by `format_node`, opened by every start.

    node.toml                 settings (`common.node.settings`)
    network.toml              the network (`common.network`); may lie elsewhere
    genesis                   canonical genesis; its hash is the chain id
    signing-key.pem           Ed25519, mode 0600
    tls-key.pem, tls-certificate.pem
    data/                     log and state (`common.storage`)

The node id is never used again: a node that lost its disk comes back as another one. So nothing
here is made by a start, and a folder that is not whole is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from common.crypto.keyfile import load_signing_key, save_signing_key
from common.crypto.pki import Credential, load_credential, save_credential
from common.crypto.privatefile import create_private, read_private
from common.crypto.signing import SigningKey
from common.encoding import decode, encode
from common.errors import CommonReason, Refused, StorageFailed
from common.ledger.genesis import Genesis, chain_id_of, check_genesis
from common.network import Network
from common.networkfile import load_network, save_network
from common.node.settings import (
    SETTINGS_FILE,
    ProcessSettings,
    format_settings,
    load_settings,
)
from common.storage.folder import FolderIdentity, FolderLimits, NodeFolder, format_folder
from common.storage.folder import open_folder as open_data

__all__ = ["OpenNode", "format_node", "open_node"]

GENESIS_FILE = "genesis"
GENESIS_BYTES_MAX = 1024 * 1024
SIGNING_KEY_FILE = "signing-key.pem"
TLS_NAME = "tls"
DATA_FOLDER = "data"
NETWORK_FILE = "network.toml"


class OpenNode(NamedTuple):
    """What a folder holds. `data` is locked by this process until it is closed."""

    settings: ProcessSettings
    genesis: Genesis
    signing_key: SigningKey
    credential: Credential
    network: Network
    data: NodeFolder


def format_node(
    folder: Path,
    settings: ProcessSettings,
    genesis: Genesis,
    signing_key: SigningKey,
    credential: Credential,
    network: Network,
) -> None:
    """Make the folder of a new node, which does not exist or is empty.

    `node.toml` is written last: a folder whose making was cut short does not start. Raises
    `Refused` for a folder that holds anything, and for a node the genesis does not name.
    """
    check_genesis(genesis)
    _require_member(genesis, settings, signing_key)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise Refused(CommonReason.INVALID_ARGUMENT, f"{folder} holds something already")
    create_private(folder / GENESIS_FILE, encode(genesis))
    save_signing_key(folder / SIGNING_KEY_FILE, signing_key)
    save_credential(folder, TLS_NAME, credential)
    if settings.network_file == NETWORK_FILE:
        save_network(folder / NETWORK_FILE, network)
    identity = FolderIdentity(chain_id_of(genesis), settings.node_id)
    format_folder(folder / DATA_FOLDER, identity)
    create_private(folder / SETTINGS_FILE, format_settings(settings).encode())


def open_node(folder: Path) -> OpenNode:
    """Everything in the folder, checked against each other; its data locked.

    Raises `Refused` for a folder that was never formatted, is open elsewhere or does not fit
    together, `StorageFailed` for a disk that fails.
    """
    settings = load_settings(folder)
    genesis = decode(Genesis, read_private(folder / GENESIS_FILE, GENESIS_BYTES_MAX))
    check_genesis(genesis)
    signing_key = load_signing_key(folder / SIGNING_KEY_FILE)
    _require_member(genesis, settings, signing_key)
    credential = load_credential(folder, TLS_NAME)
    network = load_network(folder / settings.network_file)
    _require_network(network, genesis)
    limits = FolderLimits(
        log_bytes_max=settings.log_bytes_max, state_bytes_max=settings.state_bytes_max
    )
    identity = FolderIdentity(chain_id_of(genesis), settings.node_id)
    data = open_data(folder / DATA_FOLDER, identity, limits=limits)
    return OpenNode(settings, genesis, signing_key, credential, network, data)


def data_bytes(folder: Path) -> int:
    """Bytes the log and the state take on the disk."""
    try:
        files = [folder / DATA_FOLDER / part / "data.mdb" for part in ("log", "state")]
        return sum(file.stat().st_size for file in files)
    except OSError as error:
        raise StorageFailed(f"cannot read {folder}: {error}") from error


def _require_member(genesis: Genesis, settings: ProcessSettings, signing_key: SigningKey) -> None:
    entry = genesis.node_set.node(settings.node_id)
    if genesis.chain_name != settings.chain_name or entry is None:
        message = f"the genesis of {genesis.chain_name} has no node {settings.node_id}"
        raise Refused(CommonReason.INVALID_ARGUMENT, message)
    if entry.public_key != signing_key.public_key:
        message = f"the signing key is not that of {settings.node_id} in the genesis"
        raise Refused(CommonReason.INVALID_ARGUMENT, message)


def _require_network(network: Network, genesis: Genesis) -> None:
    if network.chain(genesis.chain_name).chain_id != chain_id_of(genesis):
        message = f"the network knows another {genesis.chain_name} than the genesis"
        raise Refused(CommonReason.WRONG_CHAIN, message)

r"""The folder of a relay process: made once by `format_relay`, opened by every start.

    relay.toml                           settings (`relay.settings`)
    network.toml                         the network (`common.network`); may lie elsewhere
    tls-key.pem, tls-certificate.pem     who the relay is to the nodes
    sealing-key                          32 bytes, mode 0600: seals secrets at rest
    journal/                             packages (`relay.journal`); made by the first start

Nothing in it is precious: a relay that lost its folder is formatted anew, and goes on from what the
chains say. Only secrets that nobody else holds are gone with it.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from common.crypto.pki import Credential, PeerKind, identity_of, load_credential, save_credential
from common.crypto.privatefile import create_private, read_private
from common.crypto.sealing import KEY_BYTES
from common.crypto.signing import RandomBytes
from common.errors import CommonReason, Refused
from common.network import Network
from common.networkfile import load_network, save_network
from relay.journal import LmdbJournal
from relay.settings import SETTINGS_FILE, RelaySettings, format_settings, load_settings

__all__ = ["OpenRelay", "format_relay", "open_relay"]

TLS_NAME = "tls"
SEALING_KEY_FILE = "sealing-key"
NETWORK_FILE = "network.toml"


class OpenRelay(NamedTuple):
    """What a folder holds. `journal` is locked by this process until it is closed."""

    settings: RelaySettings
    credential: Credential
    network: Network
    journal: LmdbJournal


def format_relay(
    folder: Path,
    settings: RelaySettings,
    credential: Credential,
    network: Network,
    random_bytes: RandomBytes,
) -> None:
    """Make the folder of a new relay, which does not exist or is empty.

    `relay.toml` is written last: a folder whose making was cut short does not start. Raises
    `Refused(INVALID_ARGUMENT)` for a folder that holds anything, and for a credential that is not
    the relay's.
    """
    identity = identity_of(credential.certificate)
    if (identity.kind, identity.name) != (PeerKind.RELAY, settings.relay_id):
        message = f"the credential is of {identity.uri}, not of relay {settings.relay_id}"
        raise Refused(CommonReason.INVALID_ARGUMENT, message)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise Refused(CommonReason.INVALID_ARGUMENT, f"{folder} holds something already")
    save_credential(folder, TLS_NAME, credential)
    create_private(folder / SEALING_KEY_FILE, random_bytes(KEY_BYTES))
    if settings.network_file == NETWORK_FILE:
        save_network(folder / NETWORK_FILE, network)
    create_private(folder / SETTINGS_FILE, format_settings(settings).encode())


def open_relay(folder: Path, random_bytes: RandomBytes) -> OpenRelay:
    """Everything in the folder; its journal locked.

    Raises `Refused` for a folder that was never formatted or is open elsewhere, `StorageFailed`
    for a disk that fails.
    """
    settings = load_settings(folder)
    credential = load_credential(folder, TLS_NAME)
    network = load_network(folder / settings.network_file)
    key = read_private(folder / SEALING_KEY_FILE, KEY_BYTES)
    if len(key) != KEY_BYTES:
        message = f"{folder / SEALING_KEY_FILE} has {len(key)} bytes, not {KEY_BYTES}"
        raise Refused(CommonReason.MALFORMED, message)
    return OpenRelay(settings, credential, network, LmdbJournal.open(folder, key, random_bytes))

"""A node folder is made once, whole, and started only where everything in it fits together."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from common.crypto.pki import PeerKind
from common.encoding import encode
from common.errors import CommonReason, Reason, Refused
from common.ledger.genesis import chain_id_of
from common.network import Network, NetworkChain, NetworkNode
from common.node.app import NodeApp, load_app
from common.node.folder import data_bytes, format_node, open_node
from common.node.settings import ProcessSettings, format_settings, load_settings
from common.storage.folder import FolderReason
from tests.kit.served import AUTHORITY, NETWORK
from tests.kit.tally import key_of, make_genesis

GENESIS = make_genesis(network=NETWORK)
NODE_ID = "bank-1"
SETTINGS = ProcessSettings(chain_name="tally", node_id=NODE_ID, listen="127.0.0.1:0")
CREDENTIAL = AUTHORITY.issue(PeerKind.NODE, NODE_ID)
CHAIN = NetworkChain("tally", chain_id_of(GENESIS), (NetworkNode(NODE_ID, "127.0.0.1:1"),))
PINNED = Network(NETWORK, AUTHORITY.credential.certificate_pem, (CHAIN,))


def formatted(path: Path) -> Path:
    format_node(path / "node", SETTINGS, GENESIS, key_of(NODE_ID), CREDENTIAL, PINNED)
    return path / "node"


def refusal(folder: Path) -> Reason:
    with pytest.raises(Refused) as caught:
        open_node(folder)
    return caught.value.reason


def test_a_formatted_folder_opens_as_what_it_was_formatted_for(tmp_path: Path) -> None:
    opened = open_node(formatted(tmp_path))
    try:
        assert opened.settings == SETTINGS
        assert opened.genesis == GENESIS
        assert opened.signing_key.public_key == key_of(NODE_ID).public_key
        assert opened.network == PINNED
    finally:
        opened.data.close()
    assert data_bytes(tmp_path / "node") > 0


def test_secrets_are_their_owners_alone(tmp_path: Path) -> None:
    folder = formatted(tmp_path)
    modes = {path.name: path.stat().st_mode & 0o077 for path in folder.iterdir()}
    assert modes.pop("network.toml") >= 0
    assert set(modes.values()) == {0}


def test_a_start_on_an_empty_or_missing_folder_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path) is CommonReason.NOT_FOUND
    assert refusal(tmp_path / "nowhere") is CommonReason.NOT_FOUND
    assert list(tmp_path.iterdir()) == []


def test_a_start_without_the_data_is_refused_and_makes_none(tmp_path: Path) -> None:
    folder = formatted(tmp_path)
    (folder / "data" / "identity").unlink()
    assert refusal(folder) is FolderReason.FOLDER_NOT_FORMATTED
    assert not (folder / "data" / "identity").exists()


def test_a_folder_is_never_formatted_twice(tmp_path: Path) -> None:
    folder = formatted(tmp_path)
    with pytest.raises(Refused):
        format_node(folder, SETTINGS, GENESIS, key_of(NODE_ID), CREDENTIAL, PINNED)
    opened = open_node(folder)
    opened.data.close()


def test_a_folder_that_holds_something_else_is_not_formatted(tmp_path: Path) -> None:
    (tmp_path / "node").mkdir()
    (tmp_path / "node" / "letters.txt").write_text("dear all")
    with pytest.raises(Refused):
        formatted(tmp_path)
    assert [path.name for path in (tmp_path / "node").iterdir()] == ["letters.txt"]


def test_two_processes_do_not_share_a_folder(tmp_path: Path) -> None:
    folder = formatted(tmp_path)
    opened = open_node(folder)
    assert refusal(folder) is FolderReason.FOLDER_IN_USE
    opened.data.close()


def test_a_node_the_genesis_does_not_name_is_not_made(tmp_path: Path) -> None:
    for settings, key in (
        (SETTINGS.model_copy(update={"node_id": "core-9"}), key_of("core-9")),
        (SETTINGS.model_copy(update={"chain_name": "other"}), key_of(NODE_ID)),
        (SETTINGS, key_of("core-1")),
    ):
        with pytest.raises(Refused):
            format_node(tmp_path / "node", settings, GENESIS, key, CREDENTIAL, PINNED)
    assert list(tmp_path.iterdir()) == []


def test_another_genesis_than_the_networks_is_refused(tmp_path: Path) -> None:
    folder = formatted(tmp_path)
    path = folder / "genesis"
    path.write_bytes(encode(replace(GENESIS, created_unix_ms=1)))
    assert refusal(folder) is CommonReason.WRONG_CHAIN


def test_a_damaged_genesis_is_refused(tmp_path: Path) -> None:
    folder = formatted(tmp_path)
    path = folder / "genesis"
    path.write_bytes(path.read_bytes()[:-1])
    assert refusal(folder) is CommonReason.MALFORMED


def test_another_nodes_key_is_refused(tmp_path: Path) -> None:
    folder = formatted(tmp_path)
    settings = SETTINGS.model_copy(update={"node_id": "core-1"})
    (folder / "node.toml").write_text(format_settings(settings))
    assert refusal(folder) is CommonReason.INVALID_ARGUMENT


@pytest.mark.parametrize(
    "line",
    ["tick_ms = 0", 'tick_ms = "x"', "unknown = 1", 'log_level = "loud"', "metrics_port = 70000"],
)
def test_settings_out_of_their_range_are_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "node.toml").write_text(format_settings(SETTINGS) + line)
    with pytest.raises(Refused) as caught:
        load_settings(tmp_path)
    assert caught.value.reason is CommonReason.INVALID_ARGUMENT
    assert line.split(maxsplit=1)[0] in caught.value.message


def test_settings_that_are_no_toml_are_refused(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text("chain_name =")
    with pytest.raises(Refused) as caught:
        load_settings(tmp_path)
    assert caught.value.reason is CommonReason.MALFORMED


def test_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "node.toml").write_text(format_settings(SETTINGS))
    monkeypatch.setenv("WUTONG_NODE_IDLE_BLOCK_MS", "500")
    settings = load_settings(tmp_path)
    assert settings.idle_block_ms == 500
    assert settings.for_node().idle_block_ms == 500


def test_an_app_is_found_by_its_place_and_by_no_other_text() -> None:
    assert isinstance(load_app("tests.kit.served:APP"), NodeApp)
    for place in ("tests.kit.served", ":APP", "tests.kit.nowhere:APP", "tests.kit.served:CLIENT"):
        with pytest.raises(Refused):
            load_app(place)

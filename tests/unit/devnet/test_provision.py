"""The local network's folder: made once, whole or not at all, and private."""

from __future__ import annotations

import stat
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from common.crypto.digest import sha256
from common.crypto.keyfile import load_signing_key
from common.crypto.pki import PeerIdentity, PeerKind, identity_of, load_credential
from common.errors import Refused
from common.ledger.genesis import chain_id_of
from common.networkfile import load_network
from common.node.folder import open_node
from relay.case.cast import author_of, make_actor, party_id_from
from relay.devnet.founding import CHAINS, FOUNDING_USERS, MEMBERS, NETWORK, PLATFORM
from relay.devnet.layout import DataFolder, KeyFolder
from relay.devnet.provision import CLIENT_NAME, provision, relay_address
from relay.folder import open_relay

NOW = 1_800_000_000_000
BASE_PORT = 30_000
NODES = len(CHAINS) * len(MEMBERS)


def chance() -> Callable[[int], bytes]:
    numbers = count()
    return lambda size: sha256(str(next(numbers)).encode())[:size]


def make(path: Path, base_port: int = BASE_PORT) -> DataFolder:
    data = DataFolder(path)
    assert provision(data, base_port=base_port, now_unix_ms=NOW, random_bytes=chance())
    return data


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    return make(tmp_path_factory.mktemp("devnet") / "data")


def test_every_node_can_start_and_the_network_names_it(data: DataFolder) -> None:
    network = load_network(data.network)
    assert [chain.name for chain in network.chains] == list(CHAINS)
    ports: list[int] = []
    for chain in network.chains:
        for node in chain.nodes:
            opened = open_node(data.node(node.node_id))
            opened.data.close()
            assert opened.settings.listen == node.address
            assert chain_id_of(opened.genesis) == chain.chain_id
            assert opened.network == network
            ports.append(int(node.address.rpartition(":")[2]))
    assert ports == list(range(BASE_PORT, BASE_PORT + NODES))
    assert relay_address(data) == f"127.0.0.1:{BASE_PORT + NODES}"


def test_four_members_found_each_chain_and_three_make_a_certificate(data: DataFolder) -> None:
    for chain in CHAINS:
        opened = open_node(data.node(f"{chain}-bank"))
        opened.data.close()
        genesis = opened.genesis
        assert [member.member_id for member in genesis.members] == sorted(
            member.member_id for member in MEMBERS
        )
        assert (len(genesis.node_set.nodes), genesis.node_set.quorum) == (4, 3)
        for member in genesis.members:
            key = load_signing_key(data.keys.member(member.member_id))
            assert key.public_key == member.public_key


def test_relay_and_client_have_their_credentials(data: DataFolder) -> None:
    operator = load_credential(data.keys.path, CLIENT_NAME)
    assert identity_of(operator.certificate).kind is PeerKind.ADMIN
    for party in FOUNDING_USERS:
        held = load_credential(data.keys.certificates, party)
        assert identity_of(held.certificate) == PeerIdentity(NETWORK, PeerKind.CLIENT, party)
    opened = open_relay(data.relay, chance())
    opened.journal.close()
    assert opened.network == load_network(data.network)


def test_all_that_is_secret_belongs_to_its_owner_alone(data: DataFolder) -> None:
    secret = [
        path
        for path in data.path.rglob("*")
        if path.is_file() and (path.name.endswith("-key.pem") or path.name == "sealing-key")
    ]
    per_node = 2  # signing and TLS
    users = 5
    others = 5 + len(FOUNDING_USERS)  # authority, operator, relay, reader, sealing key; parties
    assert len(secret) == per_node * NODES + len(MEMBERS) + users + others
    assert {stat.S_IMODE(path.stat().st_mode) for path in secret} == {0o600}
    folders = [path for path in (data.path, data.keys.path) if path.stat().st_mode & 0o077]
    assert folders == []


def test_a_folder_is_provisioned_once(data: DataFolder) -> None:
    before = data.network.read_bytes()
    again = provision(data, base_port=1_024, now_unix_ms=NOW + 1, random_bytes=chance())
    assert not again
    assert data.network.read_bytes() == before


def test_a_provisioning_that_was_cut_short_is_made_anew(tmp_path: Path) -> None:
    left = tmp_path / ".data.new"
    left.mkdir()
    (left / "rubbish").write_text("half a key")
    data = make(tmp_path / "data")
    assert not left.exists()
    assert not (data.path / "rubbish").exists()
    assert data.network.exists()


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("dear all")
    with pytest.raises(Refused, match="no data folder"):
        make(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letter"]


@pytest.mark.parametrize("base_port", [-1, 0, 65_528, 70_000])
def test_ports_that_do_not_exist_are_refused(tmp_path: Path, base_port: int) -> None:
    with pytest.raises(Refused, match="no nine ports"):
        make(tmp_path / "data", base_port)
    assert list(tmp_path.iterdir()) == []


def test_equal_chance_makes_equal_networks(tmp_path: Path, data: DataFolder) -> None:
    again = make(tmp_path / "again")
    assert again.network.read_bytes() == data.network.read_bytes()


@pytest.mark.parametrize("name", ["", "..", "a/b", "/etc", "A", "a" * 65, "a b"])
def test_no_name_of_a_key_leaves_its_folder(name: str) -> None:
    keys = KeyFolder(Path("keys"))
    with pytest.raises(Refused):
        keys.user(name, "clerk")
    with pytest.raises(Refused):
        keys.user("party", name)
    with pytest.raises(Refused):
        keys.member(name)


def test_an_actors_key_is_kept_and_never_replaced(tmp_path: Path) -> None:
    keys = KeyFolder(tmp_path / "keys")
    actor = make_actor(keys, "buyer-c1", "Buyer", ("buyer",), chance())
    found = author_of(keys, "buyer-c1", "clerk")
    assert found.key.public_key == actor.author.key.public_key
    with pytest.raises(Refused, match="exists already"):
        make_actor(keys, "buyer-c1", "Buyer", ("buyer",), chance())
    with pytest.raises(Refused, match="wutong keys generate stranger clerk"):
        author_of(keys, "stranger", "clerk")


@pytest.mark.parametrize(
    ("name", "party_id"),
    [
        ("Baihe Steel Works Co., Ltd.", "baihe-steel-works-co-c3"),
        ("Consortial", "consortial-c3"),
        ("宝钢", "seller-c3"),
        ("", "seller-c3"),
        ("x" * 60, "seller-c3"),
        ("--", "seller-c3"),
    ],
)
def test_a_party_id_is_made_of_the_first_words_of_a_name(name: str, party_id: str) -> None:
    assert party_id_from(name, 3, "seller") == party_id


def test_the_platforms_users_are_a_maker_and_a_checker(data: DataFolder) -> None:
    keys = [author_of(data.keys, PLATFORM, user).key.public_key for user in ("maker", "checker")]
    assert len(set(keys)) == 2

"""The network file: what is written is read back, and nothing else is read."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import CommonReason, Refused
from common.network import Network, NetworkChain, NetworkNode, format_network, parse_network
from common.networkfile import load_network, save_network

names = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20)
addresses = st.builds(
    "{}:{}".format, st.sampled_from(["127.0.0.1", "[::1]", "node.example"]), st.integers(1, 65535)
)
nodes = st.lists(names, min_size=1, max_size=5, unique=True).flatmap(
    lambda ids: st.tuples(*[st.builds(NetworkNode, st.just(i), addresses) for i in sorted(ids)])
)
chains = st.builds(NetworkChain, names, st.binary(min_size=32, max_size=32), nodes)
networks = st.builds(
    Network,
    names,
    names.map(str.encode),
    st.lists(chains, min_size=1, max_size=3, unique_by=lambda chain: chain.name).map(tuple),
)

SAMPLE = Network(
    "devnet",
    b"-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n",
    (NetworkChain("bizchain", bytes(32), (NetworkNode("bizchain-1", "127.0.0.1:17400"),)),),
)


@given(networks)
@settings(max_examples=30)
def test_a_network_reads_back_as_it_was_written(network: Network) -> None:
    assert parse_network(format_network(network)) == network


def test_the_sample_stands_as_the_manual_says() -> None:
    assert format_network(SAMPLE) == (
        "format = 1\n"
        'network = "devnet"\n'
        'authority = "-----BEGIN CERTIFICATE-----\\nMII\\n-----END CERTIFICATE-----\\n"\n'
        "\n"
        "[[chains]]\n"
        'name = "bizchain"\n'
        f'chain_id = "{"00" * 32}"\n'
        "nodes = [\n"
        '  {node_id = "bizchain-1", address = "127.0.0.1:17400"},\n'
        "]\n"
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("format = 1", "format = 2"),
        ("format = 1", ""),
        ("network =", "net ="),
        ('"devnet"', "7"),
        ('"devnet"', '""'),
        ("00" * 32, "00" * 31),
        ("00" * 32, "0G" * 32),
        ("00" * 32, "AA" * 32),
        ("127.0.0.1:17400", "127.0.0.1"),
        ("127.0.0.1:17400", ":17400"),
        ("127.0.0.1:17400", "127.0.0.1:0"),
        ("127.0.0.1:17400", "127.0.0.1:65536"),
        ("127.0.0.1:17400", "127.0.0.1:x"),
        ("[[chains]]", "[chains]"),
        ("nodes = [", "knots = ["),
        ("name =", "= "),
        ('  {node_id = "bizchain-1"', '  {node_id = "z", address = "a:1"},\n  {node_id = "a"'),
        ('  {node_id = "bizchain-1", address = "127.0.0.1:17400"},\n', ""),
    ],
)
def test_any_other_text_is_refused(old: str, new: str) -> None:
    text = format_network(SAMPLE)
    assert old in text
    with pytest.raises(Refused) as caught:
        parse_network(text.replace(old, new, 1))
    assert caught.value.reason is CommonReason.MALFORMED


def test_a_chain_named_twice_is_refused() -> None:
    twice = Network("devnet", b"x", (SAMPLE.chains[0], SAMPLE.chains[0]))
    with pytest.raises(Refused, match="twice"):
        parse_network(format_network(twice))


def test_a_text_too_large_is_not_parsed() -> None:
    with pytest.raises(Refused) as caught:
        parse_network("#" * 300_000)
    assert caught.value.reason is CommonReason.TOO_LARGE


def test_a_saved_network_loads_and_a_missing_one_says_so(tmp_path: Path) -> None:
    save_network(tmp_path / "network.toml", SAMPLE)
    assert load_network(tmp_path / "network.toml") == SAMPLE
    with pytest.raises(Refused) as caught:
        load_network(tmp_path / "other.toml")
    assert caught.value.reason is CommonReason.NOT_FOUND


def test_who_asks_for_an_unknown_chain_or_node_is_told() -> None:
    with pytest.raises(Refused):
        SAMPLE.chain("assetchain")
    assert SAMPLE.chain("bizchain").address_of("bizchain-1") == "127.0.0.1:17400"
    assert SAMPLE.chain("bizchain").address_of("bizchain-2") is None

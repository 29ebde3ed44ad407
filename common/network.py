"""What everybody pins of a network: its authority, its chains, and where their nodes answer.

A network is one text, `network.toml`, handed to everybody once. It holds no secret and is trusted
for one thing: the chain ids. A chain id is the hash of the chain's genesis, so whoever has it can
check the genesis any node shows, and from there every certificate and proof. Addresses and the
authority's certificate only say how to reach a node.

    format = 1
    network = "devnet"
    authority = "-----BEGIN CERTIFICATE-----..."

    [[chains]]
    name = "bizchain"
    chain_id = "9f0c..."                        # 64 hexadecimal digits
    nodes = [
      {node_id = "bizchain-1", address = "127.0.0.1:17400"},
    ]

Reading and writing the file is `common.networkfile`.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common.crypto.digest import DIGEST_BYTES
from common.errors import CommonReason, Refused

__all__ = [
    "NETWORK_BYTES_MAX",
    "Network",
    "NetworkChain",
    "NetworkNode",
    "format_network",
    "parse_network",
]

FORMAT_VERSION = 1
NETWORK_BYTES_MAX = 256 * 1024
CHAINS_MAX = 16
NODES_MAX = 64
ADDRESS_CHARACTERS_MAX = 260


@dataclass(frozen=True, slots=True)
class NetworkNode:
    """A node and where it answers: `host:port`, the host as it stands in its TLS certificate."""

    node_id: str
    address: str


@dataclass(frozen=True, slots=True)
class NetworkChain:
    """A chain and its nodes, in order of their ids. `chain_id` is the hash of its genesis."""

    name: str
    chain_id: bytes
    nodes: tuple[NetworkNode, ...]

    def address_of(self, node_id: str) -> str | None:
        """Where the node with this id answers, or None for a node the network does not name."""
        for node in self.nodes:
            if node.node_id == node_id:
                return node.address
        return None


@dataclass(frozen=True, slots=True)
class Network:
    """A network. `authority_pem` is the certificate every TLS certificate of it is signed by."""

    name: str
    authority_pem: bytes
    chains: tuple[NetworkChain, ...]

    def chain(self, name: str) -> NetworkChain:
        """The chain with this name. Raises `Refused(NOT_FOUND)`."""
        for chain in self.chains:
            if chain.name == name:
                return chain
        raise Refused(CommonReason.NOT_FOUND, f"network {self.name} has no chain {name!r}")


def format_network(network: Network) -> str:
    """The text of a network; `parse_network` reads it back."""
    lines = [
        f"format = {FORMAT_VERSION}",
        f"network = {_quoted(network.name)}",
        f"authority = {_quoted(network.authority_pem.decode('ascii'))}",
    ]
    for chain in network.chains:
        lines += ["", "[[chains]]", f"name = {_quoted(chain.name)}"]
        lines += [f"chain_id = {_quoted(chain.chain_id.hex())}", "nodes = ["]
        for node in chain.nodes:
            place = f"node_id = {_quoted(node.node_id)}, address = {_quoted(node.address)}"
            lines.append(f"  {{{place}}},")
        lines.append("]")
    return "\n".join([*lines, ""])


def parse_network(text: str) -> Network:
    """The network `text` describes. Raises `Refused`: TOO_LARGE, or MALFORMED and what is wrong."""
    if len(text) > NETWORK_BYTES_MAX:
        raise Refused(CommonReason.TOO_LARGE, f"a network has at most {NETWORK_BYTES_MAX} bytes")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _malformed(f"not TOML: {error}") from None
    if table.get("format") != FORMAT_VERSION:
        raise _malformed(f"format {table.get('format')!r}; this program reads {FORMAT_VERSION}")
    chains = _rows(table, "chains", CHAINS_MAX)
    network = Network(
        _text(table, "network"),
        _text(table, "authority").encode(),
        tuple(_chain(chain) for chain in chains),
    )
    if len({chain.name for chain in network.chains}) != len(chains):
        raise _malformed("a chain is named twice")
    return network


def _chain(table: Mapping[str, Any]) -> NetworkChain:
    name = _text(table, "name")
    rows = _rows(table, "nodes", NODES_MAX)
    nodes = tuple(NetworkNode(_text(row, "node_id"), _address(row)) for row in rows)
    ids = [node.node_id for node in nodes]
    if ids != sorted(set(ids)):
        raise _malformed(f"{name}: nodes are listed once each, in order of their ids")
    return NetworkChain(name, _digest(table, "chain_id"), nodes)


def _digest(table: Mapping[str, Any], name: str) -> bytes:
    text = _text(table, name)
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        digest = b""
    if len(digest) != DIGEST_BYTES or digest.hex() != text:
        raise _malformed(f"{name} has {2 * DIGEST_BYTES} lower-case hexadecimal digits")
    return digest


def _address(table: Mapping[str, Any]) -> str:
    address = _text(table, "address")
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise _malformed(f"an address is host:port, not {address[:ADDRESS_CHARACTERS_MAX]!r}")
    return address


def _text(table: Mapping[str, Any], name: str) -> str:
    value = table.get(name)
    if not isinstance(value, str) or not value or not value.isascii():
        raise _malformed(f"{name} is missing, or no text")
    return value


def _rows(table: Mapping[str, Any], name: str, rows_max: int) -> list[Mapping[str, Any]]:
    rows = table.get(name)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _malformed(f"{name} is missing, or no list of tables")
    if not 1 <= len(rows) <= rows_max:
        raise _malformed(f"{name}: 1 to {rows_max} expected")
    return rows


def _quoted(text: str) -> str:
    """A TOML basic string. JSON's escapes are a subset of TOML's."""
    return json.dumps(text)


def _malformed(message: str) -> Refused:
    return Refused(CommonReason.MALFORMED, f"network: {message}")

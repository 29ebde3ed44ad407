"""The trees of RFC 9162 section 2.1: `common.crypto.merkle`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.crypto.merkle import SIZE_MAX, MerkleTree, verify_consistency, verify_inclusion
from common.errors import CommonReason, Refused

# The reference tree of Certificate Transparency (RFC 6962), with its known answers:
# https://github.com/google/certificate-transparency/blob/master/cpp/merkletree/merkle_tree_test.cc
REFERENCE_LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
REFERENCE_ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
REFERENCE_PATHS = {
    (1, 0): (),
    (8, 0): (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ),
    (8, 5): (
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
    (3, 2): ("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",),
    (5, 1): (
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ),
}
REFERENCE_CONSISTENCY = {
    (1, 1): (),
    (1, 8): (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ),
    (6, 8): (
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
    (2, 5): (
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ),
}

LEAVES = st.lists(st.binary(max_size=4), min_size=1, max_size=70)


@pytest.mark.parametrize("size", range(9))
def test_published_roots(size: int) -> None:
    """The roots of the reference leaves are the published ones, the empty tree's included."""
    assert MerkleTree(REFERENCE_LEAVES[:size]).root.hex() == REFERENCE_ROOTS[size]


@pytest.mark.parametrize(("size", "index"), REFERENCE_PATHS)
def test_published_paths(size: int, index: int) -> None:
    """Inclusion proofs in the reference tree are the published ones."""
    path = MerkleTree(REFERENCE_LEAVES[:size]).path(index)
    assert tuple(item.hex() for item in path) == REFERENCE_PATHS[size, index]
    verify_inclusion(
        MerkleTree(REFERENCE_LEAVES[:size]).root, size, index, REFERENCE_LEAVES[index], path
    )


@pytest.mark.parametrize(("first", "second"), REFERENCE_CONSISTENCY)
def test_published_consistency(first: int, second: int) -> None:
    """Consistency proofs in the reference tree are the published ones."""
    proof = MerkleTree(REFERENCE_LEAVES[:second]).consistency(first)
    assert tuple(item.hex() for item in proof) == REFERENCE_CONSISTENCY[first, second]


@given(LEAVES)
def test_the_root_is_the_recursive_definition(leaves: list[bytes]) -> None:
    """Building level by level yields the tree hash as the RFC defines it."""
    assert MerkleTree(leaves).root == tree_hash(leaves)


@given(LEAVES, st.data())
def test_a_path_proves_its_leaf_and_nothing_else(leaves: list[bytes], data: st.DataObject) -> None:
    """A path verifies for its root, size, index and leaf; each single change is refused."""
    tree, size = MerkleTree(leaves), len(leaves)
    index = data.draw(st.integers(0, size - 1))
    path = tree.path(index)
    verify_inclusion(tree.root, size, index, leaves[index], path)
    assert len(path) <= (size - 1).bit_length()
    refuse_inclusion(tree.root, size, index, leaves[index] + b"x", path)
    refuse_inclusion(bytes(32), size, index, leaves[index], path)
    refuse_inclusion(tree.root[:31], size, index, leaves[index], path)
    refuse_inclusion(tree.root, size, -1, leaves[index], path)
    refuse_inclusion(tree.root, size, size, leaves[index], path)
    refuse_inclusion(tree.root, SIZE_MAX + 1, index, leaves[index], path)
    for forged in mutations(path, tree.root):
        refuse_inclusion(tree.root, size, index, leaves[index], forged)
    other = data.draw(st.integers(0, size - 1))
    if leaves[other] != leaves[index]:
        refuse_inclusion(tree.root, size, other, leaves[index], path)
        refuse_inclusion(tree.root, size, index, leaves[other], path)


@given(st.integers(1, 70), st.data())
def test_an_index_has_one_path_length(size: int, data: st.DataObject) -> None:
    """In a tree of unequal leaves a path is refused at every other index."""
    leaves = [bytes([n]) for n in range(size)]
    tree = MerkleTree(leaves)
    index = data.draw(st.integers(0, size - 1))
    for claimed in range(size):
        if claimed != index:
            refuse_inclusion(tree.root, size, claimed, leaves[index], tree.path(index))


@given(LEAVES)
def test_a_node_never_passes_for_a_leaf(leaves: list[bytes]) -> None:
    """The two children of the root, given as one leaf of a tree of one, are refused."""
    tree = MerkleTree([*leaves, b"one", b"two"])
    children = MerkleTree(leaves).root + tree.root
    refuse_inclusion(tree.root, 1, 0, children, ())
    left = 1 << ((tree.size - 1).bit_length() - 1)
    all_leaves = [*leaves, b"one", b"two"]
    inner = tree_hash(all_leaves[:left]) + tree_hash(all_leaves[left:])
    assert hashlib.sha256(b"\x01" + inner).digest() == tree.root
    refuse_inclusion(tree.root, 1, 0, inner, ())
    refuse_inclusion(tree.root, 1, 0, b"\x01" + inner, ())


@given(LEAVES, st.data())
def test_a_consistency_proof_proves_a_prefix_and_nothing_else(
    leaves: list[bytes], data: st.DataObject
) -> None:
    """A prefix verifies; other sizes, roots and proofs are refused, a rewritten middle included."""
    second = len(leaves)
    first = data.draw(st.integers(1, second))
    tree, prefix = MerkleTree(leaves), MerkleTree(leaves[:first])
    proof = tree.consistency(first)
    verify_consistency(prefix.root, first, tree.root, second, proof)
    rewritten = list(leaves)
    changed = data.draw(st.integers(0, first - 1))
    rewritten[changed] += b"x"
    forged_tree = MerkleTree(rewritten)
    for claim in (proof, forged_tree.consistency(first)):
        refuse_consistency(prefix.root, first, forged_tree.root, second, claim)
        refuse_consistency(MerkleTree(rewritten[:first]).root, first, tree.root, second, claim)
    refuse_consistency(prefix.root, 0, tree.root, second, proof)
    refuse_consistency(prefix.root, second + 1, tree.root, second, proof)
    refuse_consistency(prefix.root, first, tree.root, SIZE_MAX + 1, proof)
    refuse_consistency(prefix.root[:31], first, tree.root, second, proof)
    refuse_consistency(prefix.root, first, tree.root + b"\0", second, proof)
    for forged in mutations(proof, tree.root):
        refuse_consistency(prefix.root, first, tree.root, second, forged)


@given(st.integers(0, 20), st.integers(-3, 25))
def test_what_is_not_in_the_tree_is_not_proven(size: int, index: int) -> None:
    """Paths and prefixes outside the tree are refused as arguments."""
    tree = MerkleTree([b""] * size)
    if not 0 <= index < size:
        with pytest.raises(Refused) as caught:
            tree.path(index)
        assert caught.value.reason is CommonReason.INVALID_ARGUMENT
    if not 0 < index <= size:
        with pytest.raises(Refused) as caught:
            tree.consistency(index)
        assert caught.value.reason is CommonReason.INVALID_ARGUMENT


def test_the_empty_tree_contains_nothing() -> None:
    """No leaf verifies in the empty tree, with any path."""
    root = MerkleTree([]).root
    refuse_inclusion(root, 0, 0, b"", ())
    refuse_inclusion(root, 1, 0, b"", ())


def tree_hash(leaves: Sequence[bytes]) -> bytes:
    """RFC 9162 section 2.1.1, word for word."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + tree_hash(leaves[:split]) + tree_hash(leaves[split:])).digest()


def mutations(path: tuple[bytes, ...], root: bytes) -> list[tuple[bytes, ...]]:
    """Every path a step away from a good one: truncated, extended, swapped, altered items."""
    forged = [(*path, root), (*path, b""), (root, *path), (*path, *path, root)]
    for place, item in enumerate(path):
        before, after = path[:place], path[place + 1 :]
        forged.append(before + after)
        forged.append((*before, bytes([item[0] ^ 1]) + item[1:], *after))
        forged.append((*before, item[:31], *after))
        forged.append((*before, item + b"\0", *after))
        forged.append((*before, item, item, *after))
        forged.append((*before, root, *after))
    reverse = tuple(reversed(path))
    return [*forged, reverse] if reverse != path else forged


def refuse_inclusion(
    root: bytes, size: int, index: int, leaf: bytes, path: tuple[bytes, ...]
) -> None:
    with pytest.raises(Refused) as caught:
        verify_inclusion(root, size, index, leaf, path)
    assert caught.value.reason is CommonReason.BAD_PROOF


def refuse_consistency(
    first_root: bytes, first: int, second_root: bytes, second: int, proof: tuple[bytes, ...]
) -> None:
    with pytest.raises(Refused) as caught:
        verify_consistency(first_root, first, second_root, second, proof)
    assert caught.value.reason is CommonReason.BAD_PROOF

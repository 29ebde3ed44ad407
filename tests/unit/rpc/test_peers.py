"""Frames to peers: the newest are kept, the order holds, and the set decides who is a peer."""

from __future__ import annotations

import grpc
import pytest
from msgspec.structs import replace

from common.crypto.pki import PeerIdentity, PeerKind
from common.ledger.certificate import NodeSet
from common.rpc import peers
from common.rpc.callers import Caller
from common.rpc.peers import QUEUE_FRAMES_MAX, REQUEST_BYTES_MAX, PeerLink, allow_members
from tests.kit.tally import make_genesis


def caller(name: str, key_hash: bytes, kind: PeerKind = PeerKind.NODE) -> Caller:
    return Caller(PeerIdentity("test", kind, name), key_hash)


def test_only_nodes_of_the_set_with_their_pinned_keys_are_peers() -> None:
    known = make_genesis().node_set
    pinned = tuple(replace(node, tls_key_hash=node.node_id.encode()) for node in known.nodes)
    allow = allow_members(NodeSet(known.epoch, pinned, known.quorum))
    assert allow(caller("core-1", b"core-1"))
    assert not allow(caller("core-1", b"bank-1"))
    assert not allow(caller("core-2", b"core-1"))
    assert not allow(caller("core-1", b"core-1", PeerKind.CLIENT))


@pytest.fixture
async def link() -> PeerLink:
    return PeerLink("core-1", grpc.aio.insecure_channel("127.0.0.1:1"))


async def test_a_full_queue_loses_its_oldest_frames(link: PeerLink) -> None:
    for number in range(QUEUE_FRAMES_MAX + 5):
        link.send(number.to_bytes(4, "big"))
    assert link.frames_dropped == 5
    assert link._take()[0] == (5).to_bytes(4, "big")
    await link.channel.close()


async def test_a_queue_is_bounded_in_bytes_but_takes_one_large_frame(
    link: PeerLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "QUEUE_BYTES_MAX", 100)
    link.send(bytes(60))
    link.send(bytes(200))
    assert link.frames_dropped == 1
    assert [len(frame) for frame in link._take()] == [200]
    await link.channel.close()


async def test_frames_go_together_in_order_up_to_the_size_of_a_request(link: PeerLink) -> None:
    frames = [bytes([number]) * (REQUEST_BYTES_MAX // 3) for number in range(7)]
    for frame in frames:
        link.send(frame)
    taken = []
    while link._frames:
        taken.append(link._take())
    assert [len(together) for together in taken] == [3, 3, 1]
    assert [frame for together in taken for frame in together] == frames
    assert link._bytes == 0
    await link.channel.close()

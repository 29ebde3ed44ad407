"""The comparison for one ledger: three nodes of etcd on this machine, puts of the same size.

etcd runs as it comes: three members on loopback, each with its own folder, every put on the disks
of a quorum before it is answered. The client is the same kind as ours, gRPC from Python, over
connections that stay open, to the leader; messages are written by hand, so that it costs no more
than it must. What etcd does not do: signatures, proofs, execution of rules on every node.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import grpc

from tests.bench.clients import Window, closed_loops
from tests.bench.measures import Run

__all__ = ["INSTALL", "Etcd", "is_installed", "measure_puts", "running_etcd"]

INSTALL = "apt-get install etcd-server"
HOST = "127.0.0.1"
MEMBERS = 3
READY_SECONDS = 30.0
STOP_SECONDS = 10.0
POLL_SECONDS = 0.1
CONNECTIONS_MAX = 8
PUT = "/etcdserverpb.KV/Put"
SPENT_KEYS = 100_000
"""Puts go round so many keys, as payments go round accounts."""


Put: TypeAlias = "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]"


class Etcd(NamedTuple):
    """A running cluster: the leader's address, and the process ids of all members."""

    leader: str
    pids: Sequence[int]


def is_installed() -> bool:
    """Whether there is an etcd on the path."""
    return shutil.which("etcd") is not None


@asynccontextmanager
async def running_etcd(base_port: int) -> AsyncIterator[Etcd]:
    """A cluster in a folder of its own, gone with it afterwards."""
    with tempfile.TemporaryDirectory(prefix="etcd-") as folder:
        members = [_start(Path(folder), base_port, number) for number in range(MEMBERS)]
        try:
            leader = await _leader(base_port)
            yield Etcd(leader, [member.pid for member in members])
        finally:
            for member in members:
                member.terminate()
            for member in members:
                member.wait(STOP_SECONDS)


async def measure_puts(etcd: Etcd, clients: int, value_bytes: int, window: Window) -> Run:
    """Closed loops of clients that put values of this size."""
    value = os.urandom(value_bytes)
    connections = min(clients, CONNECTIONS_MAX)
    channels = [grpc.aio.insecure_channel(etcd.leader) for _ in range(connections)]
    puts: list[Put] = [channel.unary_unary(PUT) for channel in channels]
    number = 0

    def prepare(client: int) -> Callable[[], Awaitable[int]]:
        nonlocal number
        number += 1
        request = _put_request(b"key/%08d" % (number % SPENT_KEYS), value)

        async def call() -> int:
            await puts[client % len(puts)](request)
            return 1

        return call

    try:
        return await closed_loops(clients, prepare, window, {"etcd": etcd.pids})
    finally:
        for channel in channels:
            await channel.close()


def _start(folder: Path, base_port: int, number: int) -> subprocess.Popen[bytes]:
    client, peer = _urls(base_port, number)
    cluster = ",".join(f"m{at}={_urls(base_port, at)[1]}" for at in range(MEMBERS))
    with (folder / f"m{number}.log").open("wb") as log:
        return subprocess.Popen(
            [
                "etcd",
                *("--name", f"m{number}", "--data-dir", str(folder / f"m{number}")),
                *("--listen-client-urls", client, "--advertise-client-urls", client),
                *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
                *("--initial-cluster", cluster, "--initial-cluster-state", "new"),
                *("--logger", "zap", "--log-level", "error"),
            ],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _urls(base_port: int, number: int) -> tuple[str, str]:
    """(client, peer) of a member."""
    return (
        f"http://{HOST}:{base_port + 2 * number}",
        f"http://{HOST}:{base_port + 2 * number + 1}",
    )


async def _leader(base_port: int) -> str:
    """The address of the member that leads, once there is one."""
    for _ in range(int(READY_SECONDS / POLL_SECONDS)):
        for number in range(MEMBERS):
            status = await asyncio.to_thread(_status, _urls(base_port, number)[0])
            if status.get("leader", "0") == status.get("header", {}).get("member_id"):
                return f"{HOST}:{base_port + 2 * number}"
        await asyncio.sleep(POLL_SECONDS)
    raise RuntimeError(f"etcd has no leader after {READY_SECONDS} s")


def _status(url: str) -> dict[str, Any]:
    request = urllib.request.Request(f"{url}/v3/maintenance/status", data=b"{}", method="POST")
    try:
        with urllib.request.urlopen(request, timeout=1) as answer:
            found: dict[str, Any] = json.load(answer)
    except (OSError, ValueError, urllib.error.URLError):
        return {}
    return found


def _put_request(key: bytes, value: bytes) -> bytes:
    """etcdserverpb.PutRequest: key is field 1, value is field 2, both bytes."""
    return b"\x0a" + _length(key) + key + b"\x12" + _length(value) + value


def _length(data: bytes) -> bytes:
    """The length as a protobuf varint."""
    number, encoded = len(data), bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)

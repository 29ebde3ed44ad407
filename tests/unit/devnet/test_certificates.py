"""Whose certificate a command calls with: the party's it acts as, and else the operator's."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from common.crypto.digest import sha256
from common.crypto.pki import Credential, PeerIdentity, PeerKind, identity_of
from relay.cli.options import Options
from relay.cli.output import Output
from relay.cli.session import Session
from relay.devnet.certificates import party_credential
from relay.devnet.founding import NETWORK, REGULATOR
from relay.devnet.layout import DataFolder
from relay.devnet.provision import provision

BASE_PORT = 30_000


def chance() -> Callable[[int], bytes]:
    numbers = count()
    return lambda size: sha256(str(next(numbers)).encode())[:size]


@pytest.fixture
def data(tmp_path: Path) -> DataFolder:
    made = DataFolder(tmp_path / "data")
    now_unix_ms = time.time_ns() // 1_000_000
    assert provision(made, base_port=BASE_PORT, now_unix_ms=now_unix_ms, random_bytes=chance())
    return made


def called_by(data: DataFolder, signer: str, *, operator: bool = False) -> PeerIdentity:
    """Whose certificate a command that acts as this user calls with."""
    session = Session(Options(Output.JSON, data.network, signer=signer))
    if operator:
        session.as_operator()
    return identity_of(session.credential.certificate)


def issued(data: DataFolder, party_id: str) -> Credential | None:
    now_unix_ms = time.time_ns() // 1_000_000
    return party_credential(data.keys, NETWORK, party_id, now_unix_ms, chance())


def without_authority(data: DataFolder) -> None:
    for path in data.keys.path.glob("authority-*.pem"):
        path.unlink()


def test_a_command_calls_as_the_party_that_signs_and_else_as_the_operator(
    data: DataFolder,
) -> None:
    assert called_by(data, "") == PeerIdentity(NETWORK, PeerKind.ADMIN, "operator")
    for party in (REGULATOR, "buyer-c1"):
        assert called_by(data, f"{party}/clerk") == PeerIdentity(NETWORK, PeerKind.CLIENT, party)
    assert called_by(data, "buyer-c1/clerk", operator=True).kind is PeerKind.ADMIN


def test_a_partys_certificate_is_made_once(data: DataFolder) -> None:
    first, second = issued(data, "buyer-c1"), issued(data, "buyer-c1")
    assert first is not None
    assert second is not None
    assert first.certificate == second.certificate
    files = sorted(path.name for path in data.keys.certificates.glob("buyer-c1-*"))
    assert files == ["buyer-c1-certificate.pem", "buyer-c1-key.pem"]


def test_nobody_issues_without_the_authoritys_key(data: DataFolder) -> None:
    without_authority(data)
    assert issued(data, "buyer-c1") is None
    assert issued(data, REGULATOR) is not None
    assert called_by(data, "buyer-c1/clerk").kind is PeerKind.ADMIN


@pytest.mark.parametrize("name", ["ends-", "../up", "Upper", ""])
def test_a_name_no_certificate_carries_has_none(data: DataFolder, name: str) -> None:
    assert issued(data, name) is None

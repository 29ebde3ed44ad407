"""A gRPC server learns its caller from the certificate; who has none of the network is refused."""

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import grpc
import pytest

from common.crypto.pki import (
    DAY_MS,
    Credential,
    PeerIdentity,
    PeerKind,
    Validity,
    create_authority,
    identity_of,
    issue,
    load_certificate,
)

METHOD = "/tests.Whoami/Ask"
CALL_SECONDS_MAX = 10
NODE = PeerIdentity("devnet", PeerKind.NODE, "bizchain-1")
CLIENT = PeerIdentity("devnet", PeerKind.CLIENT, "supplier")


class Network:
    """One authority, with certificates that hold now: TLS judges them by the machine's clock."""

    def __init__(self, name: str) -> None:
        self.chance = random.Random(name).randbytes
        now_unix_ms = time.time_ns() // 1_000_000
        self.validity = Validity(now_unix_ms - DAY_MS, now_unix_ms + DAY_MS)
        self.authority = create_authority(name, self.validity, self.chance)

    def issue(self, identity: PeerIdentity) -> Credential:
        hosts = ("127.0.0.1",) if identity.kind.serves else ()
        return issue(self.authority, identity, hosts, self.validity, self.chance)


DEVNET = Network("devnet")


def answer_identity(_request: bytes, context: grpc.ServicerContext) -> bytes:
    facts = cast("dict[str, list[bytes]]", context.auth_context())
    return identity_of(load_certificate(facts["x509_pem_cert"][0])).uri.encode()


@pytest.fixture
def address() -> Iterator[str]:
    node = DEVNET.issue(NODE)
    credentials = grpc.ssl_server_credentials(
        [(node.private_key_pem, node.certificate_pem)],
        root_certificates=DEVNET.authority.certificate_pem,
        require_client_auth=True,
    )
    handler: grpc.RpcMethodHandler[Any, Any] = grpc.unary_unary_rpc_method_handler(answer_identity)
    server = grpc.server(ThreadPoolExecutor(max_workers=1))
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("tests.Whoami", {"Ask": handler})]
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(grace=None).wait()


def ask(address: str, roots: Credential, own: Credential | None) -> bytes:
    credentials = grpc.ssl_channel_credentials(
        root_certificates=roots.certificate_pem,
        private_key=own.private_key_pem if own else None,
        certificate_chain=own.certificate_pem if own else None,
    )
    with grpc.secure_channel(address, credentials) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METHOD)
        return call(b"", timeout=CALL_SECONDS_MAX)


def test_a_server_learns_the_identity_of_its_caller(address: str) -> None:
    assert ask(address, DEVNET.authority, DEVNET.issue(CLIENT)) == CLIENT.uri.encode()


def test_a_caller_without_a_certificate_of_the_network_is_refused(address: str) -> None:
    stranger = Network("othernet").issue(PeerIdentity("othernet", PeerKind.CLIENT, "supplier"))
    for own in (None, stranger):
        with pytest.raises(grpc.RpcError) as caught:
            ask(address, DEVNET.authority, own)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_server_of_another_network_is_not_trusted(address: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        ask(address, Network("othernet").authority, DEVNET.issue(CLIENT))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE

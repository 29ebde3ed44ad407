"""`common.crypto.signing`, `verifymemo`, `keyfile`: signatures, verdicts and key files."""

from __future__ import annotations

import copy
import hashlib
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from common.crypto import verifymemo
from common.crypto.keyfile import KEY_FILE_BYTES_MAX, load_signing_key, save_signing_key
from common.crypto.signing import SigningKey, check_public_key, sign, verify
from common.crypto.verifymemo import VerifyMemo
from common.errors import CommonReason, Refused

KEY = SigningKey(bytes(range(32)))
OTHER = SigningKey(bytes(32))
MESSAGE = b"the coil is sold"
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493

IDENTITY = (1).to_bytes(32, "little")
SMALL_ORDER = {
    "order 1": IDENTITY,
    "order 1, sign bit": IDENTITY[:31] + b"\x80",
    "order 2": bytes.fromhex("ec" + "ff" * 30 + "7f"),
    "order 4": bytes(32),
    "order 4, sign bit": bytes(31) + b"\x80",
    "order 8": bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    "order 8, sign bit": bytes.fromhex(
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"
    ),
    "order 8, other": bytes.fromhex(
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"
    ),
    "order 1, not canonical": bytes.fromhex("ee" + "ff" * 30 + "7f"),
    "order 4, not canonical": bytes.fromhex("ed" + "ff" * 30 + "7f"),
}

# RFC 8032 section 7.1: (secret key, public key, message, signature).
RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
]


@pytest.mark.parametrize(("secret", "public", "message", "signature"), RFC_8032)
def test_published_vectors(secret: str, public: str, message: str, signature: str) -> None:
    """Keys and signatures are those of RFC 8032."""
    key = SigningKey(bytes.fromhex(secret))
    assert key.public_key.hex() == public
    assert sign(key, bytes.fromhex(message)).hex() == signature
    assert verify(key.public_key, bytes.fromhex(message), bytes.fromhex(signature))


@given(st.binary(max_size=200), st.integers(0, 8 * (64 + 32) - 1), st.binary(min_size=1))
def test_one_changed_bit_is_refused(message: bytes, bit: int, suffix: bytes) -> None:
    """A signature holds for exactly its key, message and bytes."""
    signature = sign(KEY, message)
    assert verify(KEY.public_key, message, signature)
    both = bytearray(signature + KEY.public_key)
    both[bit // 8] ^= 1 << bit % 8
    assert not verify(bytes(both[64:]), message, bytes(both[:64]))
    assert not verify(KEY.public_key, message + suffix, signature)
    assert not verify(OTHER.public_key, message, signature)


@pytest.mark.parametrize("public_key", SMALL_ORDER.values(), ids=SMALL_ORDER.keys())
def test_small_order_keys_verify_nothing(public_key: bytes) -> None:
    """The identity signature, valid in the equation for a small-order key, is refused."""
    identity_signature = IDENTITY + bytes(32)
    assert not any(verify(public_key, bytes([n]), identity_signature) for n in range(32))
    with pytest.raises(Refused) as caught:
        check_public_key(public_key)
    assert caught.value.reason is CommonReason.INVALID_ARGUMENT


def test_a_signature_has_no_second_form() -> None:
    """The same signature with its scalar raised by the group order is refused."""
    signature = sign(KEY, MESSAGE)
    scalar = int.from_bytes(signature[32:], "little") + GROUP_ORDER
    assert not verify(KEY.public_key, MESSAGE, signature[:32] + scalar.to_bytes(32, "little"))


@given(st.binary(max_size=130), st.binary(max_size=70))
def test_rubbish_is_false_and_never_an_error(signature: bytes, public_key: bytes) -> None:
    """Bytes of any length are judged, not raised on."""
    assert not verify(public_key, MESSAGE, signature)
    assert not VerifyMemo(4).verify(public_key, MESSAGE, signature)


def test_lengths_are_strict() -> None:
    """One byte more or less of a key or a signature is refused, also where it is zero."""
    signature = sign(KEY, MESSAGE)
    changes: list[Callable[[bytes], bytes]] = [
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: b"\0" + data,
    ]
    for change in changes:
        assert not verify(KEY.public_key, MESSAGE, change(signature))
        assert not verify(change(KEY.public_key), MESSAGE, signature)
        changed_key, changed_seed = change(KEY.public_key), change(KEY.seed)
        with pytest.raises(Refused):
            check_public_key(changed_key)
        with pytest.raises(Refused):
            SigningKey(changed_seed)
    # The split between signature and message is fixed: shifting a byte across it is refused.
    assert not verify(KEY.public_key, signature[-1:] + MESSAGE, signature[:-1])
    check_public_key(KEY.public_key)


def test_a_key_never_shows_its_secret() -> None:
    """Neither printing nor copying a key gives its seed away."""
    key = SigningKey.generate(lambda size: b"\xa5" * size)
    shown = f"{key} {key!r}"
    assert "a5" * 8 not in shown
    assert key.public_key.hex() in shown
    for copier in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            copier(key)


def test_a_generated_key_takes_its_seed_from_the_port() -> None:
    """The injected source decides the key."""
    assert SigningKey.generate(bytes).public_key == OTHER.public_key


@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40
    ),
    st.integers(1, 5),
)
def test_a_memo_never_changes_a_verdict(
    questions: list[tuple[int, int, int]], entries_max: int
) -> None:
    """With any memo in any state, the verdict is that of `verify`; and the memo stays bounded."""
    memo = VerifyMemo(entries_max)
    for who, signed, asked in questions:
        signature = sign((KEY, OTHER)[who], bytes([signed]))
        expected = who == 0 and signed == asked
        assert memo.verify(KEY.public_key, bytes([asked]), signature) is expected
        assert 0 < len(memo) <= entries_max


def test_a_memo_verifies_once_and_forgets_the_least_recently_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A remembered verdict costs no second verification, until newer use pushes it out."""
    asked: list[bytes] = []

    def counting(public_key: bytes, message: bytes, signature: bytes) -> bool:
        asked.append(message)
        return verify(public_key, message, signature)

    monkeypatch.setattr(verifymemo, "verify", counting)
    memo = VerifyMemo(entries_max=2)
    signatures = {message: sign(KEY, message) for message in (b"a", b"b", b"c")}
    for message in (b"a", b"b", b"a", b"c", b"a", b"b"):
        assert memo.verify(KEY.public_key, message, signatures[message])
    assert asked == [b"a", b"b", b"c", b"b"]
    bad = memo.verify(KEY.public_key, b"z", signatures[b"a"])
    assert not bad
    assert not memo.verify(KEY.public_key, b"z", signatures[b"a"])
    assert asked[4:] == [b"z"]


def test_a_memo_is_safe_across_threads() -> None:
    """Workers that share a small memo all get right verdicts and leave it within its bound."""
    memo = VerifyMemo(entries_max=8)
    cases = [(bytes([n]), sign((KEY, OTHER)[n % 2], bytes([n]))) for n in range(24)]

    def work(worker: int) -> bool:
        order = sorted(range(24), key=lambda n: hashlib.sha256(bytes([worker, n])).digest())
        return all(
            memo.verify(KEY.public_key, *cases[n]) is (n % 2 == 0) for _ in range(4) for n in order
        )

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(8)))
    assert len(memo) == 8


@pytest.mark.parametrize("passphrase", [None, b"correct horse"])
def test_a_saved_key_is_loaded_again(tmp_path: Path, passphrase: bytes | None) -> None:
    """A key comes back from its file, which is PKCS #8 PEM with mode 0600 and no plain seed."""
    path = tmp_path / "node.pem"
    save_signing_key(path, KEY, passphrase)
    assert load_signing_key(path, passphrase).seed == KEY.seed
    assert path.stat().st_mode & 0o777 == 0o600
    label = b"PRIVATE KEY" if passphrase is None else b"ENCRYPTED PRIVATE KEY"
    assert path.read_bytes().startswith(b"-----BEGIN " + label + b"-----\n")


@pytest.mark.parametrize("mode", [0o640, 0o620, 0o610, 0o604, 0o602, 0o601, 0o644])
def test_a_key_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    """Any permission of group or world on a key file refuses it."""
    path = tmp_path / "node.pem"
    save_signing_key(path, KEY)
    path.chmod(mode)
    assert refusal(lambda: load_signing_key(path)) is CommonReason.PERMISSION_DENIED


def test_key_files_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    """Missing, damaged, foreign and wrongly unlocked files each have their reason."""
    plain, locked, damaged = tmp_path / "plain", tmp_path / "locked", tmp_path / "damaged"
    save_signing_key(plain, KEY)
    save_signing_key(locked, KEY, b"correct horse")
    assert refusal(lambda: load_signing_key(tmp_path / "none")) is CommonReason.NOT_FOUND
    assert refusal(lambda: load_signing_key(locked)) is CommonReason.INVALID_ARGUMENT
    assert refusal(lambda: load_signing_key(locked, b"wrong")) is CommonReason.INVALID_ARGUMENT
    assert refusal(lambda: load_signing_key(plain, b"any")) is CommonReason.INVALID_ARGUMENT
    assert refusal(lambda: save_signing_key(plain, OTHER)) is CommonReason.INVALID_ARGUMENT
    assert refusal(lambda: save_signing_key(damaged, KEY, b"")) is CommonReason.INVALID_ARGUMENT
    assert load_signing_key(plain).seed == KEY.seed
    foreign = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    damaged.touch(mode=0o600)
    for content in (b"", plain.read_bytes()[:-40], foreign, bytes(KEY_FILE_BYTES_MAX)):
        damaged.write_bytes(content)
        assert refusal(lambda: load_signing_key(damaged)) is CommonReason.MALFORMED
    damaged.write_bytes(bytes(KEY_FILE_BYTES_MAX + 1))
    assert refusal(lambda: load_signing_key(damaged)) is CommonReason.TOO_LARGE


def refusal(action: Callable[[], object]) -> object:
    with pytest.raises(Refused) as caught:
        action()
    return caught.value.reason

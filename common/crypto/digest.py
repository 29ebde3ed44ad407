"""SHA-256 with domain separation: no two kinds of message can ever share a digest.

`tagged(tag, *parts)` hashes the tag's own digest twice as a prefix (BIP 340's construction: the
prefix fills one 64-byte block, so its state is computed once for each tag), then the parts. Where
more than one part has a variable length the caller encodes them canonically first.
"""

from __future__ import annotations

import enum
import hashlib
from functools import cache

__all__ = ["DIGEST_BYTES", "ZERO", "Tag", "sha256", "tagged"]

DIGEST_BYTES = 32
ZERO = bytes(DIGEST_BYTES)


class Tag(enum.Enum):
    """Every domain of hashed or signed bytes. Values are part of the wire format: never changed."""

    GENESIS = b"wutong/1/genesis"
    TRANSACTION = b"wutong/1/transaction"
    TRANSACTION_ID = b"wutong/1/transaction-id"
    HEADER = b"wutong/1/header"
    HEADER_SIGNATURE = b"wutong/1/header-signature"
    NODE_SET = b"wutong/1/node-set"
    STATE_LEAF = b"wutong/1/state-leaf"
    STATE_BUCKET = b"wutong/1/state-bucket"
    STATE_BRANCH = b"wutong/1/state-branch"
    STATE_KEY = b"wutong/1/state-key"
    WINDOW_ROW = b"wutong/1/window-row"
    WINDOW = b"wutong/1/window"
    TRANSFER = b"wutong/1/transfer"
    TRANSFER_LEG = b"wutong/1/transfer-leg"
    TRANSFER_CONSENT = b"wutong/1/transfer-consent"
    TRANSFER_DECLINE = b"wutong/1/transfer-decline"
    TRANSFER_EXPIRE = b"wutong/1/transfer-expire"
    LINK = b"wutong/1/link"
    DOCUMENT = b"wutong/1/document"
    LOG_ENTRY = b"wutong/1/log-entry"
    PROPOSAL = b"wutong/1/proposal"
    PROPOSAL_SIGNATURE = b"wutong/1/proposal-signature"
    VOTE = b"wutong/1/vote"
    CONTENT = b"wutong/1/content"
    GOODS_ORIGIN = b"wutong/1/goods-origin"
    GOODS_EVENT = b"wutong/1/goods-event"
    KEY_POSSESSION = b"wutong/1/key-possession"
    KEY_DATA_LEAF = b"wutong/1/key-data-leaf"
    KEY_DATA_SALT = b"wutong/1/key-data-salt"
    INVOICE = b"wutong/1/invoice"
    DISCLOSURE = b"wutong/1/disclosure"
    VALUATION = b"wutong/1/valuation"
    RECEIPT = b"wutong/1/receipt"


def sha256(data: bytes) -> bytes:
    """Plain SHA-256: 32 bytes. For published structures (RFC 9162) and the hash lock only."""
    return hashlib.sha256(data).digest()


@cache
def _prefix(tag: Tag) -> hashlib._Hash:
    digest = hashlib.sha256(tag.value).digest()
    return hashlib.sha256(digest + digest)


def tagged(tag: Tag, *parts: bytes) -> bytes:
    """The 32-byte digest of the concatenated parts in the domain of `tag`."""
    state = _prefix(tag).copy()
    for part in parts:
        state.update(part)
    return state.digest()

"""Hashes, signatures, proofs, sealing and certificates: every use of cryptography is one of these.

One algorithm for each purpose: SHA-256 under a domain tag (`digest`), Ed25519 by one verifier
(`signing`), Merkle trees over lists and over keys (`merkle`, `statetree`), AES-256-GCM and HPKE
(`sealing`), ECDSA P-256 certificates for TLS alone (`pki`).

Rules: what is hashed or signed carries the tag of its kind. Secret bytes, salts, serial numbers
and times are handed in by the caller; nothing here asks the machine for chance or for the time.

    from common.crypto.digest import Tag, tagged

    tagged(Tag.LINK, b"part", b"part")  # 32 bytes
"""

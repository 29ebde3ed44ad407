"""Documents on chain: salted commitments and key data that only their readers open. Never the file.

A *document* (`record_document`) is sealed to one reader set. A *sealed document* is sealed to each
of its readers by name:

- A reader is a user who registered an X25519 public key (`register_reading_key`). A later key takes
  the place of the earlier one; what was sealed to the earlier one still opens with that one only.
- `record_sealed_document` keeps the salted commitment to the file's exact bytes, the SHA-256 of the
  sealed file (which lies in a store off chain under that name), the key data sealed with the
  content key, and, for each reader, the content key sealed to that reader's newest key. The sealing
  itself is done by clients: the ledger sees bytes.
- `grant_reading`, by the owner, adds readers, 64 at most in all. Nobody is taken off again: who
  could read once has read.
- Key data are also committed to, field by field: `key_data_root` is the RFC 9162 tree over one
  salted digest for each header field and line (`HEADER_FIELDS`, `KeyLine`). So a field can be shown
  to one who may not read the document, and a contract can judge what is shown to it.
- An invoice carries the hash of what makes it the same invoice (seller, number, date, payable,
  currency). Its seller cannot record it twice. Whether the hash is true is judged when the invoice
  is matched: until then a false one harms nobody but who recorded it.
"""

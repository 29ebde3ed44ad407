"""Documents on chain: a salted commitment and key data sealed to the reader set. Never the file.

The commitment binds whoever recorded it to the file's exact bytes and says nothing of them to
others: without the 32-byte salt even a guess cannot be confirmed. The content key that seals the
key data is itself sealed to the readers.
"""

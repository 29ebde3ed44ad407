"""The contracts of the asset chain, one folder each, with the same files in each.

types        the values that are stored
keys         the tables they are stored in, and how a key is made
operations   what can be done: check, then apply
queries      pure reads
invariants   what must always hold, recomputed from the whole state
service      the gRPC service over the queries
"""

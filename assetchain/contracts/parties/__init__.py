"""Parties, holds and grants to read as the business chain certified them: copies, written by
messages alone.
"""

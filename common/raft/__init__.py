"""Raft without input and output: a state machine that agrees on one log of blocks."""

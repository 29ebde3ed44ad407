"""Raft scenarios. A file is a list of blocks: commands, a line `----`, and the transcript.

    # The leader crashes.
    crash 1
    campaign 2
    ----
    2 is pre-candidate in term 1
    2 -> 1 PreVote t2 log ends 1.1

A place in a log is index.term, an entry index.term:data; `-` is a new leader's empty block. `->` is
a message sent, `-x` one that a cut link loses. `python -m tests.scenarios.raft --rewrite [NAME]`
writes the transcripts anew; the difference is then read as carefully as code.
"""

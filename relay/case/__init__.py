"""A trade played on a running network, and the account of it that a person can read.

Purpose: show, and test end to end, what the two ledgers are for. Every step is a real operation of
a real party, signed with its own key; nothing is told that was not final and proven.

    account.py   who did what, on which chain, at which height, how long it took
    cast.py      the parties of one play, with keys of their own
    stage.py     the verbs of a play: join, report, deposit, trade, decline, audit
    steel.py     the case: a coil of steel, from warehouse receipt to delivery versus payment
    paper.py     the same trade taken from a folder of business documents

Rules: ids are new in every play, so a play never meets the leavings of an earlier one. A step that
does not end as it must ends the play. Secrets stay in the agreement and the relay's sealed journal.

    account = await play_steel(stage)
    account.print_summary()
"""

"""Stories: what a consortium lives through, played on a running network with parties of its own.

    wutong story list
    wutong story irregular

A story joins new parties, carries out real operations, says what became final where, and fails as
soon as something does not go as it tells: an act that is refused, or one that is not. At its end
the dossier of every transfer is verified from its file alone. Each can be played again and again:
party ids and numbers are new each time.

    shelf.py       their names
    tale.py        what a story can do beside the verbs of the stage
    steel_coil.py  from the order to the goods at the buyer's gate
    irregular.py   goods move while they are being sold; the freeze wins
    refusals.py    what nobody may do, tried by those who would like to
    votes.py       what the members of the nodes decide, and what they turn down
"""

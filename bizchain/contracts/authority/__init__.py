"""Authority: how the powers of a party change after it was approved, by whom, and how late.

A change is a record that two people of other firms have signed before it is in force: a maker
proposes, another user approves. What a firm asks for itself is an application, which a maker takes
up first. Nobody decides about their own firm. What one administrator does alone only restrains: a
hold, a rejection, the closing of a party.

    (new) --apply (the party)--> APPLIED --endorse--> PROPOSED --approve--> APPROVED
    (new) --propose (administrator)-----------------> PROPOSED --await--> WAITING --complete-->
                                                                  APPROVED
    WAITING --object (the party)--> OBJECTED      any of the three --reject--> REJECTED
    APPLIED, or PROPOSED on application --withdraw (the party)--> WITHDRAWN

| kind | begun by | in force |
|---|---|---|
| grant_role (also renews), revoke_role, remove_user | the party, administrators | when approved |
| add_user, replace_key | the party only: administrators never sign for a firm | when approved |
| recover_key | administrators: the firm has lost its key | after a waiting time |
| suspend, resume, set_grade, grant_reading, revoke_reading | administrators | when approved |

A user changes its own key at once, signed with both (`change_key`): that also undoes a recovery
under way, because a change names the key it replaces. During the waiting time any user of the
firm may object, so such a firm is not suspended; what may not move meanwhile is put on hold. A
suspended party signs nothing, is paid, and has what is decided settled.

A key, once registered, is never registered again, and no two parties that are not closed have one
identifier (LEI, USCC, GLN): `STANDING` says which party has what, and by which change. Every
change of a party travels to the asset chain as a "party" message.
"""

"""The way out: the holder of a whole lot asks for its goods, and pays for their storage (flow X6).

    (none) --request--> REQUESTED --approve--> APPROVED --X6 settles--> USED
                        REQUESTED --reject--> REJECTED
                        REQUESTED, APPROVED --withdraw--> WITHDRAWN

A request is of one receipt by one party, and lapses by its deadline; whoever asks for goods that
are not theirs gets an approval that no transfer can use, and stands in nobody's way. An
administrator of another firm than the holder's approves or rejects it. The transfer then burns the
lot on the asset chain and, in the same step, moves the fee and the receipt: to RELEASING, owned by
the holder. The books decide, and they know of every freeze first.

The fee is `management_basis_points_per_day` of the value of the goods for each day begun from the
day they came until `stored_until_unix_ms`, by the schedule in force in the block that reserves the
leg; rounded up once, in favour of the fee account (`management_fee`). By which version, value and
days it was judged is kept beside it. Where a day costs something and nobody has valued the goods,
the exit is refused.

    leg = ExitLeg("receipt-7", "lot-7", "buyer-1", "buyer-1", "CNY", 1_250, stored_until_unix_ms)
"""

"""Double-entry cash books: deposits issued by banks, payments, and cash escrowed for transfers.

Every movement debits one account and credits another by the same amount, and is journalled as an
event. The chart of accounts (`types.CHART`) is the same for every party and currency. A party's
money in a currency stands in one row: what is available and what open transfers reserve. A bank's
issuance row says what it owes: deposits booked less withdrawals paid. Fees follow the schedule the
members voted, and pass through an account of their own, so the journal alone says what was
collected.

    sum of issuance = sum of (available + reserved + claimable), per currency, at every height

No bank can debit a party: a withdrawal is signed by the party whose money it is.
"""

"""Double-entry cash books: deposits issued by banks, payments, and cash escrowed for transfers.

Every movement debits one account and credits another by the same amount, and is journalled as an
event. A party's money in a currency stands in one row: what is available and what open transfers
reserve. A bank's issuance row says what it owes: deposits booked less withdrawals paid.

    sum of issuance = sum of (available + reserved + claimable), per currency, at every height
"""

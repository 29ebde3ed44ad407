"""Applications: the way from a warehouse receipt to a lot, before anything is minted (flow X1).

Purpose: no lot comes to be of goods that its owner alone vouches for. The warehouse looks again, an
independent appraiser says what the goods are worth, and two administrators' users agree.

    (none) --apply--> APPLIED --confirm--> CONFIRMED --propose--> PROPOSED --approve--> APPROVED
                      APPLIED --differ--> REJECTED       (the goods are not as the receipt says)
    APPROVED --X1 settles--> USED
    every state before USED --reject--> REJECTED, --withdraw--> WITHDRAWN

Rules:

- The owner of an ISSUED receipt that nothing reserves or holds applies; the policy may refuse a low
  grade. One application of a receipt is open at a time. It lapses by its own deadline, at most
  `APPLICATION_MS_MAX` away, and then stands in nobody's way.
- The receipt's warehouse confirms quantity, unit, place and quality. What differs from the receipt
  rejects the application, and the difference is its ground.
- A maker proposes it with the valuation that holds: its hash is pinned, and the goods must be worth
  more than nothing. A checker, another user than the maker, approves it while that valuation is
  still the newest and has not expired. Neither is of the applicant's firm.
- X1 is reserved by an APPROVED application of that receipt by its owner, not lapsed, whose pinned
  valuation is the newest one and not expired in that block. What is valued anew is applied for
  anew. While X1 is open nothing moves the application; a release leaves it APPROVED.

    apply_for_asset(receipt_id="coil-7", until_unix_ms=...)
    confirm_goods(receipt_id="coil-7", quantity=24_750_000, unit="GRM", place="hall 4", quality="A")
    propose_application(receipt_id="coil-7")
    approve_application(receipt_id="coil-7")
"""

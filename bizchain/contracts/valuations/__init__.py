"""Valuations: what an appraiser says the goods of a receipt are worth, and until when.

Purpose: nothing is issued, lent or charged on a value that its owner or its keeper made up, or that
is out of date.

Rules:

- A valuation is signed by a party with the role `appraiser` that is neither the receipt's owner nor
  its warehouse. It holds from its block on, for at most `VALIDITY_MS_MAX`, and not at or after its
  deadline (`common.deadline.expired`).
- The newest one counts: it replaces the one before, whoever made that, also where it is lower or
  ends sooner. Numbers of a receipt's valuations count up from 1, without a gap.
- The amount is for the receipt's whole quantity, as if nothing were lost. What the goods are worth
  is `worth_of`: the amount times what is not confirmed as lost, over the quantity, rounded down. A
  loss therefore needs no new valuation; where all is lost the goods are worth 0, nobody values
  them any more, and `check_valued` refuses.
- Each valuation travels to the asset chain by a certified message and is kept there by receipt.

      (none) --value--> number 1 --value--> number 2 ...

    value_receipt(receipt_id="coil-7", amount=1_250_000, currency="CNY", method="market comparison",
                  source="SHFE HRC", valid_until_unix_ms=..., evidence_hash=sha256(report))
    valuation = check_valued(context, "coil-7")
    valuation_hash(valuation)
"""

"""Invoices: judged against order and receipt, then accepted by the buyer, or turned down.

    (recorded) --match--> MATCHED --accept--> ACCEPTED
               --match--> DISPUTED --match--> MATCHED or DISPUTED
    MATCHED, DISPUTED --reject--> REJECTED

An invoice begins as a sealed document of its seller (`bizchain.contracts.documents`). Whoever
matches it opens the committed key data of order, receipt advice and invoice to the ledger, which
verifies them against the commitments and judges, each time in the same way (`queries.judge`):

- the order is the buyer's own record, the receipt advice the buyer's or a warehouse's, the invoice
  the seller's; else it is no match but a refusal;
- parties, currency and the order's number agree;
- every line is of an item of the order; one identifier in common (GTIN, seller's, buyer's) is
  enough;
- what is billed of an item is what was received of it, within the tolerance, and with all that was
  billed of the order before, not more than was ordered, within the tolerance;
- the price of a line is, exactly, a price the order has for the item; its amount is not above
  quantity times price by more than the rounding of one minor unit;
- the lines add up to the total of lines; the payable amounts of all matched invoices of an order
  are not above that of the order, within the tolerance, where the order states one.

No difference: MATCHED. Else DISPUTED, with the differences by number (`DifferenceKind`). The
tolerance is named by whoever matches, at most 1,000 basis points, and kept with the judgement. A
receipt advice backs one matched invoice. A matched or disputed invoice can be rejected: what it was
matched with is free again, and the seller records another one, under another number.

Matching shows what is opened to every node. Acceptance is the buyer's own word, and refused while
a hold lies on either party. Only what is ACCEPTED can be financed.
"""

"""Listings: units of a lot for sale at a fixed price, to whoever the seller admits (flow X2).

    (none) --list--> OPEN --reserve, settle, release--> OPEN
                     OPEN --sell_out--> SOLD_OUT
                     OPEN --cancel--> CANCELLED      OPEN --expire--> EXPIRED

A listing is its seller's consent, given before there is a buyer: a mandate. Listed units are on
order, and nothing else can be done with them. A sale (`ListedTitleLeg`) takes units out of one
listing, needs no signature of the seller, and is refused unless the mandate covers it in the block
that executes it:

- the listing is open, not expired, of this seller and lot, and has the units; no less is taken than
  its minimum, but for the last of it;
- the business chain proves that this buyer reserved for this seller, naming this listing, exactly
  the price: `price` for each `price_quantity` base units, rounded up to the minor unit;
- the buyer is active, is not excluded, has a role and a grade the seller admits, as they are then;
- the seller is active and its own grade opens X2 to it; no hold lies on lot, receipt or parties;
- both sides' grades are those of the credit disclosure whose hash stands in the leg, made at most
  an hour before. It is kept with the sale.

In two steps the mandate is judged when the units are reserved, and the last three rows once more
when it commits. What was reserved then settles or goes back, whatever became of the listing: back
on order while it is open, free to the seller after that.

Cancelling and expiry free what remains. A listing of a party that is closed is cancelled by the
message that closes it. A suspended or held seller keeps its listings, and nobody can buy from them
until it is back.

    listing = Listing("spring-1", "acme", "lot-7", "OPEN", 5_000_000, 5_000_000, 0, 0,
                      "CNY", 3_500_00, 1_000_000, Limits("BBB", ("buyer",), (), 0), until)
    sale_amount(listing, 2_000_000) == 7_000_00
"""

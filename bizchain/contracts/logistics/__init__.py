"""Watching the goods: what is seen of a receipt's goods, and the rules that judge it.

Purpose: a digital asset is worth what lies in the warehouse. The warehouse, and whoever has custody
(a carrier after a handover), post signed events in the shape of EPCIS; seven rules judge each of
them in the same block, and a rule that fires puts a hold on the receipt here and, by certified
message, on everything made from it on the asset chain (`bizchain.contracts.incidents`).

Rules:

- *An event is a fact.* No rule keeps one out. The events of a receipt form a hash chain that begins
  with its report; the head says how many there are, the newest hash, where the goods were seen last
  and where they ought to be, how and when they were counted, who has them. The newest events stay
  in the state, all of them in the blocks.
- *An event names the hash before it.* One that names an earlier event was overtaken and is refused,
  to be made again (EVENT_CHAIN_MOVED); one that names a hash nobody knows here speaks of an event
  that is missing, and is a gap in the chain.
- *Goods are counted* by whoever keeps or has them; while their warehouse is closed or suspended
  also by an administrator of another firm than the owner's, since a rule asks for it.
- *Goods are expected* where their receipt says, until they are moved before there is a lot on them
  or somebody approves where they are. A container is whose event named it first, until the goods
  of that receipt are gone, and all that was made of them.
- *A handover needs both signatures* and ends at its deadline. Goods that are held are not handed
  over; goods behind a lot may be, and that is a move.

    post_event(receipt_id="coil-7", kind="stock-take", place="hall 4", quantity=24_000_000, ...)
    # 3 % are missing: receipt coil-7 is held on both chains, case quantity-below-tolerance-1
"""

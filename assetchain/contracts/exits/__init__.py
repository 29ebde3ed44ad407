"""The way out of the asset chain: a lot is burned whole, so that its goods may leave (flow X6).

    ACTIVE --X6 settles--> BURNED        the lot; its receipt becomes RELEASING on the books

The asset chain follows: whoever holds every unit that is left of the lot, all of them free, locks
them, and the business books decide. Units of others, units on order, pledged, reserved or waiting
in a pot are units the holder has not, so that nothing of them can be burned.

    leg = BurnLeg("lot-7", "buyer-1", 1_000)      # all there is of lot-7
"""

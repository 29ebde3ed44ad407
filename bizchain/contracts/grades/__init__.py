"""Grades and the policy: what a party may do by its credit, judged at every height.

The policy is the version of `policy-table/credit-permissions` that the members of the nodes voted
(the governance contract), from its height on. A grade is set as any change of a party is
(`set_grade` of the authority contract), and ends at its moment. Every signed operation, and every
consent to a leg of a transfer, is judged by both (`common.ledger.grades`); what keeps the platform
governable and what is only received (claims) is never subject to a grade, nor is an administrator
who counts goods in the place of a warehouse that is gone.

    version 3:  UNRATED: pay_cash     BBB: X1, X2, pay_cash     AAA: X1, X2, pay_cash
    => an unrated firm pays, but neither issues nor trades; reports of goods are open to all

A grade that falls below `warning_below` is an event `warning`. Grades travel to the
asset chain as messages of this kind, the policy as `parameter`, before any trade that is proven
later.
"""

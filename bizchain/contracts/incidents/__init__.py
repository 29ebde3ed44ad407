"""Incidents of goods: cases that rules opened, what answers and lifts them, and confirmed losses.

Purpose: a hold that a rule placed must be lifted by people, on evidence, and by two firms; and
goods that are gone must be said to be gone.

Rules:

- A rule of `bizchain.contracts.logistics` fires into a case, numbered by the rule and by the event:
  one hold under the authority `system.rule-engine`, which no party can be called. While a case is
  open its rule makes it new, and an answer given before is void: so a receipt carries at most one
  hold for each rule, and no stale answer lifts a newer alarm.
- A case is lifted by two firms: the receipt's warehouse answers (counter-report), and every one of
  `required_approvals` approves that very answer, named by its hash and by the event it answers: an
  approval that comes late is of no newer alarm. Lifting one lifts no other.
- Whoever owns the goods, or any that were made of them and are there, approves and rejects no
  answer about them, and no loss that is taken back: the case holds those too.
- While that warehouse is closed or suspended an administrator answers in its place, never for goods
  of its own firm; then one of a third firm approves, and a regulator: no office that closes a
  warehouse, and admits who stands in for it, overrules it alone. A warehouse that is back before
  that answers instead.
- An overdue stock-take is made good by a stock-take, then by an answer; whoever approves the answer
  to a wrong or new place accepts the place.
- A loss is reported by the warehouse and confirmed by an administrator of another firm than the
  reporter's and the owner's, exactly as reported. What is lost is worth nothing from then on, is no
  longer missed by the rules, and travels to the asset chain as a certified message.
- A reported loss that is not confirmed is taken back by the warehouse (or in its place), and by
  those who would approve its answer, on that very evidence and of that very report; a confirmed
  one never is.

      fire ┌──────┐ --answer----> ┌──────────┐ --approve--> LIFTED
    ──────►│ OPEN │ --stand in--> │ ANSWERED │ (--agree, replace--> itself)
           └──────┘ <---reject--- └──────────┘
                    <----fire----

    counter_report(receipt_id="coil-7", case_id="quantity-below-tolerance-4", evidence_hash=...)
    approve_counter_report(receipt_id="coil-7", case_id=..., event_number=4, evidence_hash=the same)
"""

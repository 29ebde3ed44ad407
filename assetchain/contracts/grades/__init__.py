"""Grades as the business chain certified them: copies, written by messages alone.

The policy is the version of `policy-table/credit-permissions` that was voted there and arrived
here.

Every signed operation, and every consent to a leg, is judged here too by the grade in force at the
block's time: a seller that may not sell cannot do so because its consent is asked for elsewhere.
"""

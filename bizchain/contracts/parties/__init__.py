"""Parties: who is on the platform, in which role, and which holds lie on whom.

A maker proposes a party, a different checker approves it, and from then on it may sign. Every
change travels to the asset chain as a certified message, and so does every hold.
"""

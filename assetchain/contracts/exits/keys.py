"""Exits keep no rows of their own here: what is burned stands on its lot (`lot/<lot id>`)."""

"""Parties and holds as the business chain certified them: a copy, written by messages alone."""

"""Reads of exits: there are none but those of lots and of transfers."""

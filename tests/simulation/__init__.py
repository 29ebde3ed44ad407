"""The two-chain simulation."""

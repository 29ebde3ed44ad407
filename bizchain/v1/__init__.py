"""Generated from `proto/bizchain/v1`: messages and services of that protocol. Never edited."""

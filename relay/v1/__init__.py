"""Generated from `proto/relay/v1`: messages and services of that protocol. Never edited."""

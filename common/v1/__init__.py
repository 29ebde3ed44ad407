"""Generated from `proto/common/v1`: messages and services of that protocol. Never edited."""

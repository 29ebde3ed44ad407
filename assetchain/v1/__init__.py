"""Generated from `proto/assetchain/v1`: messages and services of that protocol. Never edited."""

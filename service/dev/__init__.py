"""Servers for a machine that has none: PostgreSQL and Redis out of wheels, for `slipway dev` and tests."""

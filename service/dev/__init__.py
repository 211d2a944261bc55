"""Embedded PostgreSQL and Redis for `slipway dev` and the tests. Their programs come from wheels."""

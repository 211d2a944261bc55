"""What a request brings: parameters, body, conditions, an idempotency key."""

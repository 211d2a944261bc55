"""Rate limits for each caller and policy."""

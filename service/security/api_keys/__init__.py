"""API keys: routes, verification, last use."""

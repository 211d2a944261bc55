"""Keys, tokens, scopes, rate limits, proxies and browsers."""

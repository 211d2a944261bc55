"""TLS to PostgreSQL and Redis. The embedded servers lack TLS, so a terminator in front of them provides it."""

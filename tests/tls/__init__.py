"""TLS to PostgreSQL and Redis. The embedded servers know none, so something that does stands before them."""

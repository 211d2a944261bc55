"""Health checks, and the admin port that serves them."""

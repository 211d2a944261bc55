"""The schema: what migrations make of a database, and what its triggers promise."""

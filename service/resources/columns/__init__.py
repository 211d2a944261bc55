"""What the engine knows of column types: one place for their bounds, their SQL and their JSON."""

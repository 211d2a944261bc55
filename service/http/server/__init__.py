"""The server processes: two ports, workers, start and stop."""

"""Import of newline-delimited JSON."""

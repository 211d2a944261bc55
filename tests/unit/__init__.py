"""Functions with many inputs, settings and logs, and the rules of the code base."""

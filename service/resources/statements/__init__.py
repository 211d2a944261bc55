"""The SQL of a resource, built once and run many times."""

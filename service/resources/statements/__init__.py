"""The SQL of a resource: built once, run many times."""

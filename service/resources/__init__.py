"""The REST engine: one declaration in, a full set of routes out."""

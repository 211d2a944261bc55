"""Request and response schemas, made from a declaration."""

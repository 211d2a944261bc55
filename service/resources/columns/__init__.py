"""The supported column types: their bounds, SQL and JSON."""

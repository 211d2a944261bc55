"""Bulk requests: many operations in one transaction."""

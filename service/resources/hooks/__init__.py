"""Runs the hooks of a resource."""

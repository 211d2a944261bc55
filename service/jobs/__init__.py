"""Periodic work in the background."""

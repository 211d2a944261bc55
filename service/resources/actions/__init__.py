"""Runs actions: on one item, within a transaction."""

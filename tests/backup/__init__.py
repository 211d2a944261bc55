"""Backups: made, sealed, stored, verified, restored, drilled and pruned, on real servers."""

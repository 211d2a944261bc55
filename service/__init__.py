"""Slipway: from a SQLModel class to an observable, audited, zero-downtime API on Kubernetes."""

__version__ = "0.1.0"

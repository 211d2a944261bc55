"""Faults: the real service on servers that fail, and what a client has seen of it. Verdicts come from that history and
from the database, never from logs."""

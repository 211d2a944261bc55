"""Tests of the resource engine: statements, plans, concurrent clients, export and import, hooks."""

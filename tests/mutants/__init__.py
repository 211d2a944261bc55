"""Mutants: small changes of the service that a test should notice. docs/testing.md says how to use them.

- recording.py, a plugin of pytest, records which test runs which line (`make coverage`); covering.py reads it.
- operators.py has the changes, mutations.py finds them in a file and chooses some of a room.
- sandbox.py runs pytest on a changed copy of the work tree; running.py tries one mutation; report.py writes the page.
"""

"""Generated clients in Python and TypeScript call every operation of a running service."""

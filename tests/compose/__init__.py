"""The stack of Docker Compose: its files, and nginx in front of the service."""

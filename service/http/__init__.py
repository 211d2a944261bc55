"""The ASGI edge: what every request passes, whatever route it wants."""

"""Errors of embedded servers. Each message is one line that says what to do."""

from pathlib import Path


class LocalServerError(Exception):
    """An embedded server cannot run."""


class FolderInUseError(LocalServerError):
    """Another process uses this data folder."""


class PortInUseError(LocalServerError):
    """Another program listens on a port of the service."""


def last_lines(log: Path, count: int = 5) -> str:
    """Return the last lines of a server's log, joined into one, for an error message."""
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except FileNotFoundError:
        lines = []
    return " | ".join(lines[-count:]) or "its log is empty"

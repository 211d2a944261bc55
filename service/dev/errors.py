"""What goes wrong with a local server. Each message is one line that says what to do."""

from pathlib import Path


class LocalServerError(Exception):
    """A local server cannot run."""


class FolderInUseError(LocalServerError):
    """Another process serves from this folder."""


class PortInUseError(LocalServerError):
    """Another program listens where the service should."""


def last_lines(log: Path, count: int = 5) -> str:
    """Return the end of a server's log in one line, to be shown as the reason of a failure."""
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except FileNotFoundError:
        lines = []
    return " | ".join(lines[-count:]) or "its log is empty"

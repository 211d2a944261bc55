"""Free TCP ports on this machine."""

import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"
HIGHEST = 65535


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen on the port now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a free port. Another process may take it before the caller does."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def stable_port(file: Path) -> int:
    """Return the port stored in `file` if it is free; otherwise choose a free port and store it.

    A server thus keeps its address across restarts, and clients configured with it keep working.
    """
    noted = read_port(file)
    if noted is not None and is_free(noted):
        return noted
    port = free_port()
    file.write_text(f"{port}\n")
    return port


def read_port(file: Path) -> int | None:
    """Return the port stored in `file`, or None if there is no valid one."""
    try:
        port = int(file.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return port if 0 < port <= HIGHEST else None

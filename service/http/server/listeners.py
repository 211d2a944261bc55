"""The listening sockets of the two ports."""

import socket

from service.config.server import ServerSettings


class PortTakenError(Exception):
    """Another process listens on the port."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(f"cannot listen on {host}:{port}: {reason}")
        self.port = port


def listen(host: str, port: int, backlog: int) -> socket.socket:
    """A listening socket. Raises `PortTakenError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(backlog)
    except OSError as error:
        listener.close()
        raise PortTakenError(host, port, error.strerror or str(error)) from error
    return listener


def listeners(settings: ServerSettings) -> list[socket.socket]:
    """The public and the admin socket, listening. Raises `PortTakenError`."""
    public = listen(settings.host, settings.port, settings.backlog)
    try:
        return [public, listen(settings.admin_host, settings.admin_port, settings.backlog)]
    except PortTakenError:
        public.close()
        raise

"""The bounds of one connection, and of all connections together."""

from dataclasses import dataclass

from service.config.server import ServerSettings

PIPELINED = 128  # requests that may wait behind a running one; each costs some kilobytes
REQUEST_LINE = 128  # bytes of a request line besides its target
SHORT = 4096  # bytes of content that the application gets without receiving them
DISCARDED = 65_536  # bytes of an unread body that cost less to discard than a new connection
REFUSED_AT_A_TIME = (
    100  # connections beyond the limit that get a response at a time; further ones are cut off
)
LAST_REQUEST_SECONDS = 0.3  # that an idle connection stays open once the server stops
LINGER_SECONDS = 2.0  # for a client to read its response after the server stops sending


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes, counts and seconds; `ServerSettings` says what each is."""

    connections: int
    buffered_bytes: int
    headers: int
    header_bytes: int
    target_bytes: int
    header_seconds: float
    body_seconds: float
    write_seconds: float
    connection_seconds: float
    connection_requests: int

    @classmethod
    def of(cls, settings: ServerSettings) -> "Limits":
        return cls(
            connections=settings.max_connections,
            buffered_bytes=settings.max_buffered_bytes,
            headers=settings.max_headers,
            header_bytes=settings.max_header_bytes,
            target_bytes=settings.max_target_bytes,
            header_seconds=settings.header_timeout,
            body_seconds=settings.body_timeout,
            write_seconds=settings.write_timeout,
            connection_seconds=settings.max_connection_age,
            connection_requests=settings.max_connection_requests,
        )


class Unread:
    """Counts the bytes of responses that clients have not read yet, over all connections of the process."""

    def __init__(self, most: int) -> None:
        self._free = most

    def add(self, size: int) -> bool:
        """Count `size` bytes; False if the total is too large."""
        self._free -= size
        return self._free >= 0

    def remove(self, size: int) -> None:
        self._free += size

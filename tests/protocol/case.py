"""A row of the corpus, and helpers that build its bytes."""

from dataclasses import dataclass

ITEMS = b"/api/v1/shelves"


@dataclass(frozen=True)
class Case:
    """Bytes for a new connection, and the expected status of each response."""

    name: str
    data: bytes
    statuses: tuple[int, ...]

    def __init__(self, name: str, data: bytes, *statuses: int) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "data", data)
        object.__setattr__(self, "statuses", statuses or (400,))


def get(fields: bytes, *, path: str = "/health") -> bytes:
    """Return a request with more header lines."""
    return b"GET %b HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n" % (path.encode(), fields)


def post(fields: bytes, body: bytes) -> bytes:
    """Return a request whose body is read. `{}` is not valid and gets 422 once it has been read completely."""
    return b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n%b\r\n\r\n%b" % (
        ITEMS,
        fields,
        body,
    )


def many(line: bytes, count: int) -> bytes:
    """Return numbered header lines."""
    return b"\r\n".join(line % number for number in range(count))


def headers(count: int, size: int) -> bytes:
    """Return header lines of `size` bytes each."""
    return many(b"X-%d: " + b"a" * (size - 8), count)

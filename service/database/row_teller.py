"""Tells PostgreSQL which rows the caller of a single statement sees, in the statement's own round trip."""

import struct

from asyncpg.prepared_stmt import PreparedStatement

TELL = "SELECT WHERE set_config('slipway.rows', $1, true) IS NULL"
"""Returns no row, so its only responses are BindComplete and CommandComplete, which asyncpg skips before a result."""


class RowTeller:
    """What a connection sends ahead of a statement: Bind and Execute of `TELL`, without Sync.

    The messages up to the next Sync, which asyncpg sends after the statement, are one transaction ("Pipelining" in
    PostgreSQL's manual). So the setting holds for the statement, and ends with it.
    """

    def __init__(self, prepared: PreparedStatement) -> None:
        self._prepared = prepared  # asyncpg closes a statement that nobody holds
        self._head = b"\0" + prepared.get_name().encode() + b"\0" + struct.pack("!HH", 0, 1)

    def message(self, rows: str) -> bytes:
        """Return the messages."""
        value = rows.encode()
        bind = b"".join((self._head, struct.pack("!I", len(value)), value, b"\0\0"))
        return b"".join((b"B", struct.pack("!I", len(bind) + 4), bind, _EXECUTE))


# The unnamed portal, with all of its rows.
_EXECUTE = b"E" + struct.pack("!I", 9) + b"\0" + struct.pack("!I", 0)

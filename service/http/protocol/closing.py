"""Closing a connection so that the response arrives.

Closing a socket with unread input makes the kernel send a reset, which may overtake the response. So the server shuts
down its side first, and discards input for a moment (RFC 9112, 9.6).
"""

import asyncio
from collections.abc import Callable
from typing import Any


class ClosingTransport:
    """A transport whose `close` lingers when the client is still sending.

    `unread` returns whether it is. `lingering` is called when lingering starts, and `closing` when the transport closes
    with bytes left to send.
    """

    __slots__ = (
        "_callbacks",
        "_lingers",
        "_transport",
        "abort",
        "get_extra_info",
        "get_write_buffer_size",
        "pause_reading",
        "resume_reading",
        "write",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        *,
        unread: Callable[[], bool],
        lingering: Callable[[], None],
        closing: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._callbacks = unread, lingering, closing
        self._lingers = False
        # Bound once, so that calls pass through at no cost.
        self.write: Callable[[Any], None] = transport.write
        self.abort = transport.abort
        self.get_extra_info = transport.get_extra_info
        self.get_write_buffer_size = transport.get_write_buffer_size
        self.pause_reading, self.resume_reading = transport.pause_reading, transport.resume_reading

    def is_closing(self) -> bool:
        return self._lingers or self._transport.is_closing()

    def close(self) -> None:
        """Close, now or after lingering; a second call does not linger."""
        if self._transport.is_closing():
            return
        unread, lingering, closing = self._callbacks
        if unread() and not self._lingers:
            self._lingers = True
            self._transport.write_eof()
            lingering()
            return
        self._transport.close()
        if self._transport.get_write_buffer_size():
            closing()

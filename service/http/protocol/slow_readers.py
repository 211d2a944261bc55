"""Disconnects clients that do not read their responses."""

import asyncio
from functools import partial

from service.deadline import Deadline
from service.http.middleware.admission import turned_away
from service.http.protocol.closing import ClosingTransport
from service.http.protocol.limits import DISCARDED, Unread


class ReaderWatch:
    """Watches the write buffer of one connection while it is full. Most connections never need it."""

    __slots__ = ("_counted", "_loop", "_seconds", "_timer", "_transport", "_unread")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, transport: ClosingTransport, *, unread: Unread, seconds: float
    ) -> None:
        """`unread` counts over all connections; `seconds` is the time to take `DISCARDED` bytes."""
        self._loop = loop
        self._transport = transport
        self._unread = unread
        self._seconds = seconds
        self._counted = 0
        self._timer: Deadline | None = None

    def start(self) -> None:
        """The write buffer is full. Aborts at once if the process already holds too many bytes of responses."""
        self._counted = self._transport.get_write_buffer_size()
        if self._unread.add(self._counted):
            self._watch(self._counted)
        else:
            turned_away.labels("answers").inc()
            self._loop.call_soon(self._transport.abort)

    def stop(self) -> None:
        """The client has taken enough, or the connection is gone."""
        self._unread.remove(self._counted)
        self._counted = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _watch(self, left: int) -> None:
        self._timer = Deadline(self._loop, self._seconds, partial(self._check, left))

    def _check(self, before: int) -> None:
        left = self._transport.get_write_buffer_size()
        if left > before - DISCARDED:
            self._transport.abort()
        else:
            self._watch(left)

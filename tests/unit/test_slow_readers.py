"""Clients that do not read: when they are cut off, and what counts meanwhile."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from service.http.middleware.admission import turned_away
from service.http.protocol.limits import DISCARDED, Unread
from service.http.protocol.slow_readers import ReaderWatch
from tests.unit import punctual

WAITING = 4 * DISCARDED
SECONDS = 0.05


@pytest.fixture
async def ends() -> AsyncIterator[tuple[Any, socket.socket]]:
    """A transport with so many bytes that its client, the other end, has not read."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    transport, _ = await asyncio.get_running_loop().connect_accepted_socket(asyncio.Protocol, ours)
    while transport.get_write_buffer_size() < WAITING:
        transport.write(b"x" * 10_000)
    yield transport, theirs
    transport.abort()
    theirs.close()


def watch(transport: Any, unread: Unread) -> ReaderWatch:
    return ReaderWatch(asyncio.get_running_loop(), transport, unread=unread, seconds=SECONDS)


class Buffer:
    """What a client has not read, and when it was cut off. Nothing is sent, so that the times are exact."""

    waiting, cut_off = WAITING, 0.0

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def abort(self) -> None:
        self.cut_off = punctual.now()


def test_client_that_stops_reading_is_cut_off_later() -> None:
    buffer = Buffer()

    async def reads_once() -> None:
        watch(buffer, Unread(2 * WAITING)).start()
        buffer.waiting -= DISCARDED
        await asyncio.sleep(10 * SECONDS)

    punctual.run(reads_once())
    assert buffer.cut_off == pytest.approx(2 * SECONDS)


async def test_bytes_count_until_the_client_has_read(ends: tuple[Any, socket.socket]) -> None:
    transport, _ = ends
    unread, refused = Unread(2 * WAITING - 1), turned_away.labels("answers")._value
    before = refused.get()
    for _ in range(3):
        watched = watch(transport, unread)
        watched.start()
        watched.stop()
    await asyncio.sleep(0)
    assert (transport.is_closing(), refused.get()) == (False, before)
    first, second = watch(transport, unread), watch(transport, unread)
    first.start()
    second.start()
    await asyncio.sleep(0)
    assert (transport.is_closing(), refused.get()) == (True, before + 1)
    first.stop()
    second.stop()

"""Clients that do not read: when they are cut off, and what counts meanwhile."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from service.http.middleware.admission import turned_away
from service.http.protocol.limits import DISCARDED, Unread
from service.http.protocol.slow_readers import ReaderWatch

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


async def test_client_that_stops_reading_is_cut_off_later(ends: tuple[Any, socket.socket]) -> None:
    transport, client = ends
    watched = watch(transport, Unread(2 * WAITING))
    watched.start()
    before = transport.get_write_buffer_size()
    while transport.get_write_buffer_size() >= before - DISCARDED:
        await asyncio.get_running_loop().sock_recv(client, 4096)
    await asyncio.sleep(1.5 * SECONDS)
    assert not transport.is_closing(), "it has read enough in that time"
    async with asyncio.timeout(5):
        while not transport.is_closing():  # noqa: ASYNC110  # a transport tells its protocol alone
            await asyncio.sleep(0.01)
    watched.stop()


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

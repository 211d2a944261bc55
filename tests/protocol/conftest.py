"""Servers for raw clients."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.process.served import Served

# Anonymous writes and no limits: the rules under test precede authentication.
OPEN = {
    "app__environment": "test",
    "security__anonymous": "write",
    "rate_limit__enabled": "false",
    "logging__format": "json",
}
# gunicorn leaves a socket object to the garbage collector.
UNDER_GUNICORN = {"server__workers": 2, "PYTHONWARNINGS": "error,ignore::ResourceWarning"}

Start = Callable[..., Any]


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory, database_url: str, redis_url: str) -> Start:
    """`with start(setting=…) as server`: a ready server."""

    @contextmanager
    def starting(**settings: object) -> Iterator[Served]:
        home = tmp_path_factory.mktemp("protocol")
        given = {"database__url": database_url, "redis__url": redis_url, "TMPDIR": home, **OPEN, **settings}
        server = Served(home, **given)
        try:
            yield server.ready()
        finally:
            server.close()

    return starting


@pytest.fixture(scope="session")
def strict(start: Start) -> Iterator[Served]:
    """A server with deadlines of half a second, a keep-alive of one second, and two requests at a time."""
    with start(
        server__header_timeout=0.5,
        server__body_timeout=0.5,
        server__write_timeout=0.5,
        server__keep_alive=1,
        server__max_concurrency=2,
        database__acquire_timeout=10,
        database__lock_timeout=10,
    ) as server:
        yield server

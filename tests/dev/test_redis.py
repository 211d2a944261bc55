"""The embedded Redis."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from service.dev import redis_server
from service.dev.free_ports import LOOPBACK
from service.dev.private_files import read_or_create_secret
from service.dev.processes import command_of, is_running
from service.dev.redis_server import RedisServer
from tests.dev.help import listening
from tests.ports import next_port, placed

Maker = Callable[[], RedisServer]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Maker]:
    """Creates servers on the same folder, as successive runs of the service do."""
    folder = placed(tmp_path / "redis")
    made: list[RedisServer] = []

    def make() -> RedisServer:
        made.append(RedisServer(folder, databases=20))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def pid_of(server: RedisServer) -> int:
    assert server.pid
    return server.pid


def test_server_has_the_requested_number_of_databases(server: Maker) -> None:
    one = server()
    one.start()
    with redis.from_url(one.url.removesuffix("0") + "19") as client:
        assert client.ping()
    with redis.from_url(one.url.removesuffix("0") + "20") as client, pytest.raises(redis.ResponseError):
        client.ping()


def test_password_is_required_and_in_no_process_list(server: Maker, tmp_path: Path) -> None:
    one = server()
    one.start()
    password = read_or_create_secret(tmp_path / "redis" / "password")
    for name in ("password", "redis.conf"):
        assert (tmp_path / "redis" / name).stat().st_mode & 0o777 == 0o600
    assert password not in command_of(pid_of(one))
    with redis.from_url(one.url.replace(password, "")) as client, pytest.raises(redis.AuthenticationError):
        client.ping()
    with redis.from_url(one.url) as client:
        expected = {"bind": LOOPBACK, "save": "", "appendonly": "no"}
        assert {name: client.config_get(name)[name] for name in expected} == expected


def test_restart_keeps_the_address_unless_the_port_is_taken(server: Maker) -> None:
    first, second, third = server(), server(), server()
    first.start()
    first.stop()
    second.start()
    assert second.url == first.url
    second.stop()
    with listening(int(second.url.rpartition(":")[2].split("/")[0])):
        third.start()
        assert third.url != second.url
        with redis.from_url(third.url) as client:
            assert client.ping()


def test_port_that_is_taken_meanwhile_is_replaced(server: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    one = server()
    with socket.socket() as other:
        other.bind((LOOPBACK, 0))
        found = iter([other.getsockname()[1], next_port()])
        monkeypatch.setattr(redis_server, "stable_port", lambda _: next(found))
        one.start()
    with redis.from_url(one.url) as client:
        assert client.ping()


def test_running_server_is_stopped_first(server: Maker) -> None:
    orphan, second = server(), server()
    orphan.start()
    pid = pid_of(orphan)
    second.start()
    assert not is_running(pid)
    assert second.url == orphan.url
    with redis.from_url(second.url) as client:
        assert client.ping()

"""A primary and a replica of Redis, watched by a Sentinel: real servers. These calls block."""

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from redis import Redis as Client

from service.dev.binaries import redis_binary
from service.dev.free_ports import LOOPBACK, is_free
from service.dev.private_files import write_private_file
from service.dev.redis_server import STOP, RedisServer
from service.dev.server_process import ServerProcess
from tests.ports import next_port, placed

MASTER = "shop"
DOWN_SECONDS = 1.0  # after which an unresponsive primary counts as down
START_SECONDS = 30


class Sentinel:
    """A Sentinel that decides alone. `down` is the seconds after which the primary counts as down; `lines` are more
    lines of its configuration."""

    def __init__(
        self, folder: Path, port: int, password: str, *, down: float = DOWN_SECONDS, lines: str = ""
    ) -> None:
        folder.mkdir(parents=True)
        self.port = next_port()
        self._file = folder / "sentinel.conf"
        given = (
            f'bind {LOOPBACK}\nport {self.port}\ndir "{folder}"\n'
            f"sentinel monitor {MASTER} {LOOPBACK} {port} 1\nsentinel auth-pass {MASTER} {password}\n"
            f"sentinel down-after-milliseconds {MASTER} {round(down * 1000)}\n"
            f"sentinel failover-timeout {MASTER} 5000\n{lines}"
        )
        write_private_file(self._file, given)
        self._process = ServerProcess(redis_binary(), folder / "log", stop_signals=STOP, user=None)

    @property
    def client(self) -> Client:
        return Client(host=LOOPBACK, port=self.port)

    def start(self) -> None:
        self._process.start(str(self._file), "--sentinel")
        self._process.wait_until(lambda: not is_free(self.port), seconds=START_SECONDS)

    def stop(self) -> None:
        self._process.stop()

    def forget(self) -> None:
        """Watch nothing."""
        with self.client as client:
            client.sentinel_remove(MASTER)

    def watch(self, node: RedisServer) -> None:
        """Watch a server as the primary."""
        with self.client as client:
            client.sentinel_monitor(MASTER, LOOPBACK, port_of(node), 1)
            client.sentinel_set(MASTER, "auth-pass", password_of(node))

    def primary(self) -> int:
        """Return the port of the primary."""
        with self.client as client:
            return int(client.sentinel_masters()[MASTER]["port"])

    def knows_replica(self) -> bool:
        """Whether it could promote a replica now."""
        with self.client as client:
            found = client.sentinel_slaves(MASTER)
        return any(one["flags"] in ("slave", {"slave"}) for one in found)


class Watched:
    """Two Redis servers, the second of which starts as a replica of the first, and their Sentinel."""

    def __init__(self, folder: Path) -> None:
        self.nodes = [RedisServer(placed(folder / name)) for name in ("first", "second")]
        self._folder = folder

    def start(self) -> None:
        first, second = self.nodes
        first.start()
        shutil.copy2(self._folder / "first" / "password", self._folder / "second" / "password")
        second.start()
        for node in self.nodes:
            with Client.from_url(node.url) as client:
                client.config_set("masterauth", self.password)
                client.config_set("repl-diskless-sync-delay", 0)
        with Client.from_url(second.url) as client:
            client.replicaof(LOOPBACK, port_of(first))
            wait(lambda: client.info("replication")["master_link_status"] == "up")
        self.sentinel = Sentinel(self._folder / "sentinel", port_of(first), self.password)
        self.sentinel.start()
        wait(self.sentinel.knows_replica)

    @property
    def password(self) -> str:
        return password_of(self.nodes[0])

    def settings(self, *, dead: bool = False) -> dict[str, object]:
        """Return the settings that use it; with `dead`, a sentinel that has gone comes first."""
        addresses = [f"{LOOPBACK}:{next_port()}"] * dead + [f"{LOOPBACK}:{self.sentinel.port}"]
        return {
            "redis__url": None,
            "redis__sentinels": ",".join(addresses),
            "redis__sentinel_master": MASTER,
            "redis__password": self.password,
        }

    def primary(self) -> RedisServer:
        """Return the server that the Sentinel names."""
        port = self.sentinel.primary()
        return next(node for node in self.nodes if port_of(node) == port)

    def split(self, node: RedisServer) -> None:
        """Make a server the primary, and leave the one from before as it is: what clients see after a failover behind a
        partition of the network."""
        self.sentinel.forget()
        with Client.from_url(node.url) as client:
            client.replicaof("NO", "ONE")
        self.sentinel.watch(node)

    def send(self, number: signal.Signals, node: RedisServer) -> None:
        """Send a signal to a server."""
        assert node.pid is not None
        os.kill(node.pid, number)

    def stop(self) -> None:
        self.sentinel.stop()
        for node in self.nodes:
            if node.pid is not None:
                self.send(signal.SIGCONT, node)
            node.stop()


def password_of(node: RedisServer) -> str:
    return str(urlsplit(node.url).password)


def port_of(node: RedisServer) -> int:
    port = urlsplit(node.url).port
    assert port is not None
    return port


def wait(what: Callable[[], bool]) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + START_SECONDS
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)

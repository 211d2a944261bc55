"""Redis found through a Sentinel: both accept only TLS and have passwords, the Sentinel has users, too."""

from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from redis import Redis

from service.dev.free_ports import LOOPBACK
from tests.process.settings.limits import own_redis
from tests.process.settings.parts import redis_replies
from tests.process.settings.table import Given, Running, Setup, process, setting
from tests.sentinels import MASTER, Sentinel
from tests.tls.terminator import Authority, terminator

USER, PASSWORD = "asking", "of-the-sentinels"
DATABASE = 3
# The least that a client needs. Down after an hour: the Sentinel itself cannot speak TLS with the primary.
USERS = f"user default off\nuser {USER} on >{PASSWORD} -@all +hello +auth +sentinel|masters\n"
HOUR = 3600.0


@process("sentinel")
def sentinel(setup: Setup) -> Given:
    roots: dict[str, Path] = {}
    ports: dict[str, int] = {}
    server = urlsplit(own_redis(setup).url)

    def encrypt(name: str, port: int) -> int:
        folder = setup.home / name
        folder.mkdir()
        authority = Authority(folder)
        roots[name] = authority.root
        ports[name] = setup.background.enter(terminator(authority.server(LOOPBACK), LOOPBACK, port))
        return ports[name]

    node = encrypt("node", server.port or 6379)
    watching = Sentinel(setup.home / "watching", node, server.password or "", down=HOUR, lines=USERS)
    setup.closing.append(watching.stop)
    watching.start()
    encrypt("sentinel", watching.port)
    setup.servers |= {"root": roots["sentinel"], "address": f"{LOOPBACK}:{ports['sentinel']}"}
    return {
        "database__url": setup.database_url,
        "redis__tls": "true",
        "redis__root_cert": roots["node"],
        "redis__password": server.password,
        "redis__database": DATABASE,
        "redis__timeout": 5,  # for a busy machine
        "redis__connect_timeout": 10,
    }


@setting("redis__sentinels", lambda setup: setup.servers["address"], process="sentinel")
def limits_are_counted_in_the_primary(run: Running) -> None:
    redis_replies(run)
    assert run.service.api.get("/api/v1/shelves", headers=run.key()).status_code == 200
    server = urlsplit(run.setup.servers["redis"].url)
    with closing(Redis.from_url(server._replace(path=f"/{DATABASE}").geturl())) as client:
        assert [*client.scan_iter("slipway:limit:*")]


setting("redis__sentinel_master", MASTER, process="sentinel")(redis_replies)
setting("redis__sentinel_tls", "true", process="sentinel")(redis_replies)
setting("redis__sentinel_root_cert", lambda setup: setup.servers["root"], process="sentinel")(redis_replies)
setting("redis__sentinel_password", PASSWORD, process="sentinel")(redis_replies)
setting("redis__sentinel_user", USER, process="sentinel")(redis_replies)

"""A real PgBouncer in transaction mode, in front of a test's database."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import make_url

from tests.ports import next_port

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")

needs_pgbouncer = pytest.mark.skipif(PGBOUNCER is None, reason="there is no pgbouncer on this machine")

CONFIG = """
[databases]
slipway = host={to.host} port={to.port} dbname={to.database} user={to.username} password={password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
auth_type = any
unix_socket_dir =
pool_mode = transaction
default_pool_size = 3
max_client_conn = 100
ignore_startup_parameters = {ignored}
"""


@contextmanager
def bounced(url: str, *, ignored: str = "") -> Iterator[str]:
    """The URL of the same database through a PgBouncer with three server connections.

    Start-up parameters named in `ignored`, with commas between them, are dropped; others are refused.
    """
    assert PGBOUNCER is not None
    to = make_url(url)
    port = next_port()
    with tempfile.TemporaryDirectory(prefix="slipway-bouncer-") as folder:
        Path(folder).chmod(0o755)
        config = Path(folder, "pgbouncer.ini")
        config.write_text(CONFIG.format(to=to, password=to.password or "", port=port, ignored=ignored))
        as_user = ["--user=nobody"] if os.geteuid() == 0 else []
        process = subprocess.Popen([PGBOUNCER, "--quiet", *as_user, str(config)])
        try:
            _wait_for(port, process)
            yield f"postgresql://{to.username}:any@127.0.0.1:{port}/slipway"
        finally:
            process.terminate()
            process.wait(10)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except ConnectionRefusedError:
            assert process.poll() is None, "pgbouncer did not start"
            time.sleep(0.05)
        else:
            return
    raise AssertionError("pgbouncer does not listen after 10 s")

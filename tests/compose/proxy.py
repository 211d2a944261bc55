"""nginx with the configuration of compose/, in front of processes of the tests."""

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from tests.compose.removal import removed_afterwards
from tests.ports import next_port
from tests.unit.rules.rule import ROOT

IMAGE = "nginx:1.30"
CONFIGURATION = ROOT / "compose" / "nginx" / "nginx.conf"
START_SECONDS = 60


@cache
def has_image() -> bool:
    """Whether Docker has the image of nginx; no image is pulled."""
    if shutil.which("docker") is None:
        return False
    looked = subprocess.run(
        ["docker", "image", "inspect", IMAGE], capture_output=True, timeout=60, check=False
    )
    return looked.returncode == 0


@contextmanager
def nginx_before(folder: Path, *ports: int) -> Iterator[int]:
    """Run nginx in front of the ports of this machine; yield its own port."""
    own, label = next_port(), f"slipway-test-nginx={next_port()}"
    servers = " ".join(f"server 127.0.0.1:{port} max_fails=0;" for port in ports)
    text = CONFIGURATION.read_text("utf-8")
    text = re.sub(r"server slipway:8000 resolve max_fails=0;", servers, text)
    text = re.sub(r"resolver [^;]+;", "", text).replace("listen 8080;", f"listen 127.0.0.1:{own};")
    file = folder / "nginx.conf"
    file.write_text(text, "utf-8")
    command = ["docker", "run", "--rm", "--label", label, "--network", "host", "--read-only", "--tmpfs", "/tmp",
               "--user", "101:101", "--cap-drop", "ALL", "--volume", f"{file}:/etc/nginx/nginx.conf:ro",
               IMAGE, "nginx", "-g", "daemon off;"]  # fmt: skip
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process,
        removed_afterwards(label),
    ):
        _wait(own, process)
        yield own


def _wait(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("nginx did not start")

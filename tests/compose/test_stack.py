"""The whole stack, started, disturbed and taken down."""

import shutil
import ssl
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.compose.removal import removed_afterwards
from tests.compose.stack import Stack, missing_images
from tests.process.served import eventually
from tests.tls.terminator import Authority

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(missing_images()), reason=f"Docker lacks {', '.join(missing_images())}"),
]
LIST = "/api/v1/keys"
OK, UNAVAILABLE = "200", "503 unavailable"
BUSY = 0.02  # share of responses 503 of a service that waits too long for a connection, on a machine with too few cores
BACK_SECONDS = 180
CALLS = 40  # while a container is stopped


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack.copied_to(tmp_path)
    with removed_afterwards(stack.label):
        yield stack


def test_stack_starts_survives_outages_and_leaves_only_its_volumes(stack: Stack) -> None:
    certificates = _certificate(stack.folder)
    told = stack.up(PROFILES="core load", TLS="1")
    assert f"http://127.0.0.1:{stack.port}/docs" in told
    assert f"https://127.0.0.1:{stack.tls_port}/docs" in told
    with httpx2.Client(verify=certificates, timeout=30) as client:
        assert client.get(f"https://127.0.0.1:{stack.tls_port}/health").status_code == 200
    stack.compose("up", "--detach", "--no-deps", "prometheus")
    key = (stack.folder / "compose" / "secrets" / "load_key").read_text("utf-8").strip()
    with httpx2.Client(
        base_url=f"http://127.0.0.1:{stack.port}", headers={"X-API-Key": key}, timeout=60
    ) as client:
        for container in ("redis-1", "slipway-1"):
            _assert_served(_seen_while_stopped(stack, client, container))
        assert _seen_while_stopped(stack, client, "postgres-1").keys() == {OK, UNAVAILABLE}
        _nginx_returns(stack, client)
    assert eventually(lambda: _health(stack, "prometheus-1") == "healthy", seconds=BACK_SECONDS)
    assert eventually(lambda: _query(stack, "sum(up)") == 2, seconds=60)
    assert eventually(lambda: _query(stack, "sum(http_requests_total)") > 20, seconds=90)
    stack.compose("down")
    assert stack.left("container") == stack.left("network") == set()
    assert f"{stack.project}_postgres" in stack.left("volume") <= stack.volumes


def _certificate(folder: Path) -> ssl.SSLContext:
    """Give nginx a certificate; return what trusts it."""
    secrets = folder / "compose" / "secrets"
    secrets.mkdir()
    authority = Authority(folder)
    authority.server("127.0.0.1")
    for name in ("tls.crt", "tls.key"):  # both are in the file
        shutil.copy(folder / "127.0.0.1.pem", secrets / name)
    return ssl.create_default_context(cafile=authority.root)


def _query(stack: Stack, expression: str) -> float:
    url = f"http://127.0.0.1:{stack.prometheus_port}/api/v1/query"
    found = httpx2.get(url, params={"query": expression}, timeout=10).json()["data"]["result"]
    return float(found[0]["value"][1]) if found else 0.0


def _seen_while_stopped(stack: Stack, client: httpx2.Client, container: str) -> Counter[str]:
    """Return how often each outcome was seen from before a container stops until it is back."""
    seen: Counter[str] = Counter()
    done = threading.Event()

    def call() -> None:
        while not done.is_set():
            seen[_outcome(client.get(LIST))] += 1
            time.sleep(0.02)

    calling = threading.Thread(target=call)
    calling.start()
    try:
        _docker("stop", "--time", "25", f"{stack.project}-{container}")
        code = _docker("inspect", "--format", "{{.State.ExitCode}}", f"{stack.project}-{container}")
        assert code == "0\n", f"{container} was killed, or failed to stop"
        enough = seen.total() + CALLS
        assert eventually(lambda: seen.total() >= enough, seconds=BACK_SECONDS)
        _docker("start", f"{stack.project}-{container}")
        assert eventually(lambda: _health(stack, container) == "healthy", seconds=BACK_SECONDS)
    finally:
        done.set()
        calling.join()
    assert eventually(lambda: client.get(LIST).status_code == 200, seconds=BACK_SECONDS)
    return seen


def _outcome(response: httpx2.Response) -> str:
    if response.status_code == 200:
        return OK
    problem = response.json()
    # Only problems of the service have details.
    return f"{response.status_code} {problem['code']}{'' if 'detail' in problem else ' by nginx'}"


def _assert_served(seen: Counter[str]) -> None:
    assert seen.keys() <= {OK, UNAVAILABLE}, seen
    assert seen[UNAVAILABLE] <= BUSY * seen.total(), seen


def _nginx_returns(stack: Stack, client: httpx2.Client) -> None:
    _docker("stop", f"{stack.project}-nginx-1")
    with pytest.raises(httpx2.TransportError):
        client.get(LIST)
    _docker("start", f"{stack.project}-nginx-1")
    assert eventually(lambda: _health(stack, "nginx-1") == "healthy", seconds=BACK_SECONDS)
    assert client.get(LIST).status_code == 200


def _health(stack: Stack, container: str) -> str:
    return _docker("inspect", "--format", "{{.State.Health.Status}}", f"{stack.project}-{container}").strip()


def _docker(*arguments: str) -> str:
    return subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, timeout=120, check=True
    ).stdout

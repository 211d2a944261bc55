"""Host names that the service accepts."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator

import pytest
from httpx2 import ASGITransport, AsyncClient

from service.config import Settings
from service.dev.free_ports import LOOPBACK
from service.main import create_app
from tests.api.test_items import problem
from tests.asgi import lifespan
from tests.process.conftest import Serve, serve
from tests.shop import SHOP

__all__ = ["serve"]

URL = "/api/v1/articles"
NAMES = ["api.example", "*.Shop.example", "[2001:db8::1]", "192.0.2.1"]


@pytest.fixture(scope="module")
async def named(settings: Settings) -> AsyncIterator[AsyncClient]:
    """A client of an application that accepts only `NAMES`."""
    changed = settings.model_dump()
    changed["security"] |= {"trusted_hosts": NAMES, "anonymous": "read"}
    app = create_app(Settings(**changed), (SHOP,))
    async with (
        lifespan(app),
        AsyncClient(transport=ASGITransport(app), base_url="http://api.example") as client,
    ):
        async with asyncio.timeout(10):
            while not await app.state.health.ready():  # noqa: ASYNC110  # it looks only when it is asked
                await asyncio.sleep(0.1)
        yield client


@pytest.mark.parametrize(
    "host",
    [
        "api.example", "API.Example", "api.example:8000", "a.shop.example", "a.b.shop.example:80", "[2001:db8::1]",
        "[2001:db8::1]:8000", "192.0.2.1:8000",
    ],
)  # fmt: skip
async def test_trusted_hosts_are_served(named: AsyncClient, host: str) -> None:
    assert (await named.get(URL, headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "api.example.evil.example", "evil-api.example", "shop.example", "evilshop.example",
        "*.shop.example.", "[2001:db8::2]", "192.0.2.10", "api.example:80:80", "localhost", "",
    ],
)  # fmt: skip
async def test_other_hosts_are_refused_first(named: AsyncClient, host: str) -> None:
    for method, url in (
        ("GET", URL),
        ("POST", URL),
        ("GET", "/docs"),
        ("GET", "/health/more"),
        ("OPTIONS", URL),
    ):
        problem(await named.request(method, url, headers={"Host": host}), 400, "unknown_host")
    assert (await named.get("/health", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "name", ["", "*", "https://api.example", "api.example:80", "a b", "*.", "a*.example"]
)
def test_trusted_hosts_must_be_host_names(settings: Settings, name: str) -> None:
    changed = settings.model_dump()
    changed["security"]["trusted_hosts"] = [name]
    with pytest.raises(ValueError, match="is not a host name"):
        Settings(**changed)


def test_probes_work_by_ip_address(serve: Serve) -> None:
    server = serve(security__trusted_hosts=json.dumps(NAMES), redis__enabled="false").ready()
    assert server.probe("/livez") == 200
    assert server.api.get("/health").status_code == 200
    assert server.api.get(URL).status_code == 400
    assert server.api.get(URL, headers={"Host": "api.example"}).status_code == 401
    # RFC 9112, 3.2.2: the authority of the target counts, whatever Host says.
    for target, host, status in (("evil", "api", 400), ("user@api", "evil", 401), ("api", "api", 401)):
        request = f"GET http://{target}.example:80{URL} HTTP/1.1\r\nHost: {host}.example\r\n\r\n"
        with socket.create_connection((LOOPBACK, server.port), 10) as connection:
            connection.sendall(request.encode())
            assert connection.recv(15).split()[1] == b"%d" % status, request

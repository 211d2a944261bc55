"""Behind a proxy that serves the service under `/shop/`, every link works for the client."""

import re
from urllib.parse import urljoin
from uuid import uuid4

import httpx2

from service.dev.free_ports import LOOPBACK
from tests.process.conftest import Serve
from tests.process.prefixed import proxy
from tests.process.served import Served

PREFIX = "/shop"
SHELVES = f"{PREFIX}/api/v1/shelves"


def through(port: int) -> httpx2.Client:
    return httpx2.Client(base_url=f"http://{LOOPBACK}:{port}", timeout=10)


def check(client: httpx2.Client, headers: dict[str, str]) -> None:
    """Follow every link."""
    names = [f"path-{uuid4().hex}" for _ in range(2)]
    made = [client.post(SHELVES, json={"slug": n, "name": n}, headers=headers) for n in names]
    assert [response.status_code for response in made] == [201, 201]
    for response in made:
        assert response.headers["location"].startswith(f"{SHELVES}/")
        assert client.get(response.headers["location"], headers=headers).json() == response.json()
    page = client.get(SHELVES, params={"limit": "1", "slug__in": names}, headers=headers)
    assert page.links["next"]["url"].startswith(f"{SHELVES}?")
    assert len(client.get(page.links["next"]["url"], headers=headers).json()["items"]) == 1
    for path, status in ((f"{SHELVES}/{uuid4()}", 404), (f"{SHELVES}?x=1", 400), (f"{PREFIX}/no", 404)):
        wrong = client.get(path, headers=headers)
        assert (wrong.status_code, wrong.json()["instance"]) == (status, path.partition("?")[0])
    large = client.post(SHELVES, content=b" " * 2_000_000, headers=headers)
    assert (large.status_code, large.json()["instance"]) == (413, SHELVES)
    assert "GET" in client.options(SHELVES).headers["allow"]
    assert client.get(f"{PREFIX}/health").status_code == 200
    check_docs(client)
    document = client.get(f"{PREFIX}/openapi.json").json()
    assert document["servers"] == [{"url": PREFIX}]


def check_docs(client: httpx2.Client) -> None:
    """The files that the page and its script name exist, relative to the page."""
    page = client.get(f"{PREFIX}/docs")
    found = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    urls = [urljoin(f"{PREFIX}/docs", path) for path in found if not path.startswith("data:")]
    script = next(url for url in urls if url.endswith("page.js"))
    (document,) = re.findall(r'url: "([^"]+)"', client.get(script).text)
    for url in (*urls, urljoin(f"{PREFIX}/docs", document)):
        assert client.get(url).status_code == 200, url
    assert len(urls) == 3


def check_repeated(placed: Served, headers: dict[str, str]) -> None:
    """An idempotency key means the same request under every path."""
    name = uuid4().hex
    keyed, body = {**headers, "Idempotency-Key": name}, {"slug": f"door-{name}", "name": name}
    first = placed.api.post("/api/v1/shelves", json=body, headers=keyed)
    again = placed.api.post(SHELVES, json=body, headers=keyed)
    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
    assert first.headers["location"] == again.headers["location"]


def test_configured_public_path_is_used_in_urls(serve: Serve, headers: dict[str, str]) -> None:
    placed = serve(server__public_path=f"{PREFIX}/").ready()
    for strips in (True, False):
        with proxy(placed.port, PREFIX, strips=strips) as port, through(port) as client:
            check(client, headers)
    inside = placed.api.get("/api/v1/shelves?limit=1", headers=headers)  # as another pod in the cluster asks
    assert inside.status_code == 200
    assert placed.api.get("/health").status_code == 200
    check_repeated(placed, headers)


def test_forwarded_prefix_of_a_proxy_is_used_in_urls(shared: Served, headers: dict[str, str]) -> None:
    with proxy(shared.port, PREFIX, says=True) as port, through(port) as client:
        check(client, headers)
    assert shared.api.get("/openapi.json").json()["servers"] == [{"url": "/"}]
    plain = shared.api.get("/api/v1/nothing", headers={"X-Forwarded-Prefix": "//evil.example"})
    assert plain.json()["instance"] == "/api/v1/nothing"


def test_docs_page_works_behind_a_proxy_without_prefix_header(shared: Served) -> None:
    with proxy(shared.port, PREFIX) as port, through(port) as client:
        check_docs(client)

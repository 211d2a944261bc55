"""Responses to browsers: CORS, security headers, the docs page."""

import re
from collections.abc import AsyncIterator

import pytest
from fastapi import APIRouter
from httpx2 import ASGITransport, AsyncClient

from service.config import Settings
from service.main import create_app
from service.resources.declaration import RestResource
from service.security.scopes import ScopelessRouteError
from tests.api.conftest import MakeClient
from tests.api.test_items import problem
from tests.asgi import lifespan
from tests.engine.api import domain_of
from tests.shop import SHOP
from tests.shop.resources import shelves

ORIGIN = "https://shop.example"
URL = "/api/v1/articles"


@pytest.fixture(scope="module")
async def open_to_shop(settings: Settings) -> AsyncIterator[AsyncClient]:
    """A client of an application that pages of one origin may call."""
    changed = settings.model_dump()
    changed["security"] |= {"cors_origins": [ORIGIN], "anonymous": "read"}
    app = create_app(Settings(**changed), (SHOP,))
    async with (
        lifespan(app),
        AsyncClient(transport=ASGITransport(app), base_url="http://slipway.test") as client,
    ):
        yield client


def _preflight(origin: str, method: str = "PATCH", headers: str = "if-match,content-type") -> dict[str, str]:
    return {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": headers,
    }


async def test_allowed_origin_may_call(open_to_shop: AsyncClient) -> None:
    response = await open_to_shop.options(URL, headers=_preflight(ORIGIN))
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert "PATCH" in response.headers["access-control-allow-methods"]
    simple = await open_to_shop.get(URL, headers={"Origin": ORIGIN})
    assert simple.headers["access-control-allow-origin"] == ORIGIN
    assert "ETag" in simple.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in simple.headers


async def test_preflight_names_every_method_and_header_of_the_api(open_to_shop: AsyncClient) -> None:
    """One that is missing would break the pages that use it, and no other test."""
    methods = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}
    fields = {
        *(
            "accept",
            "accept-language",
            "authorization",
            "content-language",
            "content-type",
            "idempotency-key",
        ),
        *("if-match", "if-none-match", "traceparent", "tracestate", "x-api-key", "x-request-id"),
    }
    for method in methods:
        asked = _preflight(ORIGIN, method, ", ".join(sorted(fields)))
        headers = (await open_to_shop.options(URL, headers=asked)).headers
        assert set(headers["access-control-allow-methods"].split(", ")) == methods
        assert set(headers["access-control-allow-headers"].lower().split(", ")) == fields
        assert headers["access-control-max-age"] == "600"
        assert headers["vary"] == ("Access-Control-Request-Method, Access-Control-Request-Headers, Origin")


async def test_page_can_read_every_header_of_responses(open_to_shop: AsyncClient) -> None:
    response = await open_to_shop.get(URL, headers={"Origin": ORIGIN})
    assert set(response.headers["access-control-expose-headers"].lower().split(", ")) == {
        *("accept", "allow", "etag", "idempotency-replayed", "link", "location", "ratelimit"),
        *("ratelimit-policy", "retry-after", "www-authenticate", "x-request-id"),
    }


async def test_page_can_read_errors_and_rate_limits(settings: Settings) -> None:
    changed = settings.model_dump()
    changed["security"] |= {"cors_origins": [ORIGIN], "anonymous": "read"}
    changed["rate_limit"] |= {"requests": 1, "window": 3600}
    changed["redis"] = {"enabled": False}
    app = create_app(Settings(**changed), (SHOP,))

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("a defect")

    transport = ASGITransport(app, raise_app_exceptions=False)
    async with lifespan(app), AsyncClient(transport=transport, base_url="http://slipway.test") as client:
        for url, status in (("/broken", 500), (URL, 200), (URL, 429)):
            response = await client.get(url, headers={"Origin": ORIGIN})
            assert response.status_code == status
            assert response.headers["access-control-allow-origin"] == ORIGIN
            assert response.headers["vary"] == "Origin"


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", f"{ORIGIN}.evil.example", "http://shop.example"]
)
async def test_other_origins_are_refused(open_to_shop: AsyncClient, origin: str) -> None:
    problem(await open_to_shop.options(URL, headers=_preflight(origin)), 400, "malformed_request")
    assert (
        "access-control-allow-origin" not in (await open_to_shop.get(URL, headers={"Origin": origin})).headers
    )


async def test_no_origin_is_allowed_by_default(client_with: MakeClient) -> None:
    client = await client_with("shop:read")
    assert "access-control-allow-origin" not in (await client.get(URL, headers={"Origin": ORIGIN})).headers


async def test_every_response_has_the_security_headers(client_with: MakeClient) -> None:
    client = await client_with("shop:read")
    for url in (URL, "/nothing", "/docs", "/openapi.json", "/health"):
        headers = (await client.get(url)).headers
        assert headers["cache-control"] == "no-cache"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]


async def test_https_responses_set_hsts(open_to_shop: AsyncClient) -> None:
    assert "strict-transport-security" not in (await open_to_shop.get(URL)).headers
    secure = await open_to_shop.get(f"https://slipway.test{URL}")
    assert secure.headers["strict-transport-security"] == "max-age=31536000"


async def test_docs_page_loads_no_external_resources(client_with: MakeClient) -> None:
    client = await client_with()
    page = await client.get("/docs")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    sources = re.findall(r'(?:src|href)="([^"]*)"', page.text)
    assert sources
    assert "<script>" not in page.text
    for source in sources:
        if not source.startswith("data:"):
            assert source.startswith("docs/")  # relative, as a proxy may serve the page under a path
            assert (await client.get(f"/{source}")).status_code == 200


def test_route_without_a_scope_prevents_startup(settings: Settings) -> None:
    extra = APIRouter()

    @extra.get("/{id}/open")
    async def open_to_all(id: str) -> str:  # noqa: A002
        return id

    resource = RestResource(model=shelves.model, path="things", scopes=shelves.scopes, extra=extra)
    with pytest.raises(ScopelessRouteError, match=r"GET /api/v1/things/\{id\}/open requires no scope"):
        create_app(settings, domain_of(resource))


@pytest.mark.parametrize("origin", ["*", "shop.example", "https://shop.example/", "ftp://x"])
def test_invalid_origin_is_refused(settings: Settings, origin: str) -> None:
    changed = settings.model_dump()
    changed["security"]["cors_origins"] = [origin]
    with pytest.raises(ValueError, match="is not an origin"):
        Settings(**changed)

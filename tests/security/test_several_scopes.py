"""A route requires every scope that any of its dependencies names."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Security
from httpx2 import ASGITransport, AsyncClient

from service.config import Settings
from service.database import Database
from service.main import create_app
from service.resources.declaration import RestResource, Scopes
from service.security.access import current_principal, require_scope
from service.security.api_keys.commands import create_key
from service.security.principals import Principal
from service.security.scopes import ScopelessRouteError, known_scopes
from tests.asgi import lifespan
from tests.engine.api import domain_of
from tests.shop.models import Shelf

READ, PAY, AUDIT = "billing:read", "billing:admin", "audit:read"
URL = "/api/v1/invoices"


async def member(principal: Annotated[Principal, Security(current_principal, scopes=[READ])]) -> str:
    return principal.id


async def plain(principal: Annotated[Principal, Depends(current_principal)]) -> str:
    return principal.id


def routes() -> APIRouter:
    """Routes that require READ and PAY, each in a different way."""
    router = APIRouter()
    guarded = APIRouter(dependencies=[Security(current_principal, scopes=[READ])])

    @router.post("/listed")
    async def listed(_: Annotated[Principal, Security(current_principal, scopes=[READ, PAY])]) -> None: ...

    @router.post("/turned")
    async def turned(_: Annotated[Principal, Security(current_principal, scopes=[PAY, READ])]) -> None: ...

    @router.post("/two-parameters")
    async def two(
        one: Annotated[Principal, require_scope(READ)], other: Annotated[Principal, require_scope(PAY)]
    ) -> None: ...

    @router.post("/nested")
    async def nested(who: Annotated[str, Security(member, scopes=[PAY])]) -> None: ...

    @router.post("/nested-without-own", dependencies=[Security(plain, scopes=[PAY, READ])])
    async def without_own() -> None: ...

    @router.post("/on-the-route", dependencies=[Security(current_principal, scopes=[READ])])
    async def on_the_route(_: Annotated[Principal, require_scope(PAY)]) -> None: ...

    @guarded.post("/on-the-router")
    async def on_the_router(
        _: Annotated[Principal, require_scope(PAY)], who: Annotated[str, Depends(plain)]
    ) -> None: ...

    @guarded.post("/on-both", dependencies=[Depends(member)])
    async def on_both(who: Annotated[str, Security(plain, scopes=[PAY])]) -> None: ...

    router.include_router(guarded)
    router.include_router(_included(), dependencies=[Security(current_principal, scopes=[PAY])])
    return router


def _included() -> APIRouter:
    included = APIRouter()

    @included.post("/on-the-inclusion")
    async def on_the_inclusion(_: Annotated[Principal, require_scope(READ)]) -> None: ...

    return included


PATHS = (
    "listed", "turned", "two-parameters", "nested", "nested-without-own", "on-the-route", "on-the-router", "on-both",
    "on-the-inclusion",
)  # fmt: skip


def resource(extra: APIRouter) -> RestResource:
    return RestResource(model=Shelf, path="invoices", scopes=Scopes(read=READ, write=AUDIT), extra=extra)


@pytest.fixture(scope="module")
async def billing(settings: Settings) -> AsyncIterator[FastAPI]:
    changed = settings.model_dump()
    changed["security"]["anonymous"] = "read"
    changed["redis"] = {"enabled": False}
    changed["rate_limit"] = {"requests": 100, "writes": 50, "window": 3600}
    app = create_app(Settings(**changed), domain_of(resource(routes())))
    async with lifespan(app):
        yield app


async def client_of(app: FastAPI, database: Database, *scopes: str) -> AsyncClient:
    headers = {}
    if scopes:
        async with database.session() as session:
            headers["X-API-Key"] = (await create_key(session, name="test", scopes=scopes))[1]
    return AsyncClient(transport=ASGITransport(app), base_url="http://slipway.test", headers=headers)


@pytest.mark.parametrize(
    ("held", "status"),
    [((READ,), 403), ((PAY,), 403), ((AUDIT,), 403), ((READ, PAY), 200), (("admin",), 200), ((), 401)],
)
async def test_every_scope_is_required(
    billing: FastAPI, database: Database, held: tuple[str, ...], status: int
) -> None:
    client = await client_of(billing, database, *held)
    responses = {path: await client.post(f"{URL}/{path}") for path in PATHS}
    assert {path: response.status_code for path, response in responses.items()} == dict.fromkeys(
        PATHS, status
    )
    if status == 403:
        for response in responses.values():
            missing = {READ, PAY} - set(held)
            assert any(scope in response.json()["detail"] for scope in missing)


async def test_request_counts_once_with_several_scope_dependencies(
    billing: FastAPI, database: Database
) -> None:
    client = await client_of(billing, database, READ, PAY)
    await client.get(URL)  # a new key counts for its address
    for number, path in enumerate(PATHS, 1):
        response = await client.post(f"{URL}/{path}")
        assert response.headers["ratelimit"] == f'"default";r={100 - number}, "write";r={50 - number}', path


def test_document_and_table_list_every_scope(billing: FastAPI) -> None:
    document: dict[str, Any] = billing.openapi()
    for path in PATHS:
        operation = document["paths"][f"{URL}/{path}"]["post"]
        assert set(operation["x-required-scopes"]) == {READ, PAY}, path
    assert known_scopes(billing) == {READ, PAY, AUDIT, "admin", "features:admin", "features:read"}


async def undeclared() -> None:
    """A route without scopes."""


async def test_unenforced_scope_prevents_startup(settings: Settings) -> None:
    extra = APIRouter()

    @extra.get("/loose", dependencies=[Security(undeclared, scopes=[PAY])])
    async def loose(_: Annotated[Principal, require_scope(READ)]) -> None: ...

    with pytest.raises(ScopelessRouteError, match=f"GET .*/loose names {PAY}, but nothing checks it"):
        create_app(settings, domain_of(resource(extra)))


async def test_credential_without_scope_does_not_protect_a_route(settings: Settings) -> None:
    extra = APIRouter()

    @extra.get("/open")
    async def open_to_many(who: Annotated[str, Depends(plain)]) -> None: ...

    with pytest.raises(ScopelessRouteError, match="requires no scope"):
        create_app(settings, domain_of(resource(extra)))

"""Runs applications in this process, with their own settings and resources and a client with all scopes."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient, Response

from service.config import Settings
from service.database import Database
from service.main import create_app
from service.resources.declaration import RestResource
from service.resources.domain import Domain, settings_of
from service.resources.engine import Engine, Services
from service.resources.lists.cursor import CursorCodec
from service.resources.requests.idempotency import IdempotencyStore
from service.security.api_keys.commands import create_key
from tests.asgi import lifespan
from tests.shop import SHOP

Json = dict[str, Any]

BASE = "/api/v1"
ARTICLES = f"{BASE}/articles"
SHELVES = f"{BASE}/shelves"
PARCELS = f"{BASE}/parcels"
SCOPES = ("shop:read", "shop:write")
WAITS = {"acquire_timeout": 20, "lock_timeout": 15, "statement_timeout": 30}
CLAIMS = {"tenant": "tests"}
"""The tenant of tests that are not about tenants."""

_numbers = itertools.count(1)
_kinds = dict[object, type[Settings]]()


def unique(prefix: str) -> str:
    """Return a text that no other test of this process uses."""
    return f"{prefix}-{next(_numbers)}"


def settings_for(url: str, kind: type[Settings] = Settings, **groups: Json) -> Settings:
    """Return settings for the database: no Redis, long timeouts for busy machines, and one connection at first, since
    hundreds of applications are started; `groups` take precedence."""
    defaults: dict[str, Json] = {
        "app": {"environment": "test"},
        "database": {"url": url, "pool_min": 1, **WAITS},
        "redis": {"enabled": False},
        "security": {"secret_key": "engine-" * 6, "key_cache_seconds": 60},
        "rate_limit": {"enabled": False},
        "logging": {"access": False},
    }
    names = defaults.keys() | groups.keys()
    return kind.model_validate({name: defaults.get(name, {}) | groups.get(name, {}) for name in names})


@dataclass(frozen=True)
class Api:
    """A running application, and a client that holds all scopes."""

    app: FastAPI
    client: AsyncClient
    database: Database

    async def make(self, path: str, **item: Any) -> Response:
        """Create an item, which must succeed."""
        response = await self.client.post(f"{BASE}/{path}", json=item)
        assert response.status_code == 201, response.text
        return response

    async def shelf(self) -> str:
        """Create a shelf, and return its id."""
        made = await self.make("shelves", slug=unique("engine").lower(), name="Engine")
        return str(made.json()["id"])


def engine_of(api: Api, resource: RestResource) -> Engine:
    """Return an engine of a resource on the application's database, as commands create it."""
    settings: Settings = api.app.state.settings
    services = Services(
        database=api.database,
        records=IdempotencyStore(api.database, settings.app.idempotency_hours),
        cursors=CursorCodec(""),
        sizes=settings.performance,
        exports=asyncio.Semaphore(1),
    )
    return Engine(resource, services)


def domain_of(*resources: RestResource) -> tuple[Domain]:
    """Return a domain with these resources, as the only one."""
    return (Domain("tests", resources),)


def _settings_of(domains: Sequence[Domain]) -> type[Settings]:
    """As `settings_of`, whose class is made once for all domains with the same flags and settings."""
    key = tuple(
        (tuple(domain.flags), domain.settings and (domain.name, domain.settings)) for domain in domains
    )
    if key not in _kinds:
        _kinds[key] = settings_of(domains)
    return _kinds[key]


@asynccontextmanager
async def running(
    url: str,
    resources: Sequence[RestResource] = (),
    scopes: Sequence[str] = SCOPES,
    *,
    domains: Sequence[Domain] = (),
    **groups: Json,
) -> AsyncIterator[Api]:
    """Run an application with these resources, these domains, or the shop."""
    own = domain_of(*resources) if resources else ()
    every = (*domains, *own) or (SHOP,)
    app = create_app(settings_for(url, _settings_of(every), **groups), every)
    async with lifespan(app):
        database: Database = app.state.database
        async with database.session() as session:
            _, key = await create_key(session, name="engine test", scopes=scopes, claims=CLAIMS)
        transport = ASGITransport(app, raise_app_exceptions=False)
        headers = {"Authorization": f"Bearer {key}"}
        async with AsyncClient(
            transport=transport, base_url="http://slipway.test", headers=headers
        ) as client:
            yield Api(app, client, database)


async def filled(database: Database, connections: int) -> None:
    """Wait until the pool has that many idle connections without any request."""
    async with asyncio.timeout(20):
        while database.pool.free < connections:  # noqa: ASYNC110  # the pool tells nobody
            await asyncio.sleep(0.02)


def problem(response: Response, status: int, code: str) -> Json:
    """Return the body of a problem, after checking that it is one."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: Json = response.json()
    assert body["code"] == code, body
    return body

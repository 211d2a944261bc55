"""Invalid domains are refused at start-up, with a message that says what to do."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import pytest
from fastapi import APIRouter

from service.config import Group, Settings
from service.database import Database
from service.jobs.job import Job
from service.main import create_app
from service.resources.declaration import DeclarationError
from service.resources.domain import Domain, DomainError, settings_of
from service.resources.units import Units
from service.security.access import require_scope
from service.security.principals import Principal
from service.security.scopes import ScopelessRouteError
from tests.authorization.expected import CHASSIS
from tests.engine.api import settings_for
from tests.engine.tables import groups


class Limits(Group):
    most: int = 3


class Demanding(Group):
    most: int


def create(*domains: Domain) -> Any:
    return create_app(settings_for("postgresql://nobody@127.0.0.1:1/nothing"), domains)


def router(path: str, *, open_to_all: bool = False, **more: Any) -> APIRouter:
    made = APIRouter(**more)
    if open_to_all:

        @made.get(path)
        async def unscoped() -> None: ...

    else:

        @made.get(path)
        async def read_stock(_: Annotated[Principal, require_scope("shop:read")]) -> None: ...

    return made


def jobs(*names: str) -> Callable[[Database, Settings, Units], Sequence[Job]]:
    async def work() -> None: ...

    return lambda _database, _settings, _units: [Job(name, work, 60) for name in names]


REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "name": (
        lambda: Domain("Shop"),
        DomainError,
        "'Shop': a domain's name may contain only lowercase letters",
    ),
    "separator": (lambda: Domain("a__b"), DomainError, "single underscores"),
    "default": (
        lambda: Domain("shop", settings=Demanding),
        DomainError,
        "shop: the setting most needs a default",
    ),
    "twins": (
        lambda: create(Domain("shop"), Domain("shop")),
        DomainError,
        "shop: two domains have this name",
    ),
    "job": (
        lambda: create(Domain("shop", jobs=jobs("health"))),
        DomainError,
        "another job is called health too",
    ),
    "jobs": (
        lambda: create(Domain("shop", jobs=jobs("count")), Domain("depot", jobs=jobs("count"))),
        DomainError,
        "depot: another job is called count too",
    ),
    "settings": (
        lambda: settings_of([Domain("database", settings=Limits)]),
        DomainError,
        "database: the service has settings of this name",
    ),
    "attribute": (lambda: settings_of([Domain("production", settings=Limits)]), DomainError, "production: "),
    "scope": (
        lambda: create(Domain("shop", routers=[router("/stock", open_to_all=True)])),
        ScopelessRouteError,
        "GET /api/v1/stock requires no scope",
    ),
    "route": (
        lambda: create(Domain("shop", resources=[groups()], routers=[router("/groups")])),
        DeclarationError,
        "GET /api/v1/groups has two routes",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_conflicting_domain_is_refused(case: str) -> None:
    make, kind, told = REFUSED[case]
    with pytest.raises(kind) as raised:
        make()
    assert told in str(raised.value)


def test_domain_name_is_the_default_tag_of_its_routes() -> None:
    stock, shelf = router("/stock"), router("/shelf", tags=["shelves"])
    app = create(Domain("corner_shop", routers=[stock, shelf]))
    document = app.openapi()
    tags = {path: document["paths"][f"/api/v1/{path}"]["get"]["tags"] for path in ("stock", "shelf")}
    assert tags == {"stock": ["corner_shop"], "shelf": ["shelves"]}
    assert {"corner_shop", "shelves"} <= {tag["name"] for tag in document["tags"]}
    assert app.state.scopes == {"admin", "features:admin", "features:read", "shop:read"}


def test_domain_paths_never_shadow_service_paths() -> None:
    """If two routes match, the first one responds."""
    app = create(Domain("shop", resources=[groups()], routers=[router("/{anything}")]))
    *others, last = app.openapi()["paths"]
    assert last == "/api/v1/{anything}"
    assert {"/api/v1/keys", "/api/v1/groups"} <= set(others)


def test_settings_group_is_looked_up_by_class() -> None:
    kind = settings_of([Domain("shop", settings=Limits), Domain("depot")])
    assert kind(app={"environment": "test"}, shop={"most": 5}).group(Limits) == Limits(most=5)
    with pytest.raises(LookupError, match=r"no domain in service\.domains\.DOMAINS has the settings Limits"):
        settings_of([]).model_validate({}).group(Limits)


def test_service_without_domains_starts() -> None:
    assert set(create().openapi()["paths"]) == {key.split()[1] for key in CHASSIS}

"""A domain: a part of a team's code. `service.domains.DOMAINS` lists all domains."""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.main import default_registry

from service.cache.cached_function import CachedFunction
from service.config import Group, Settings
from service.database import Database
from service.features.flag_names import AnyFlag
from service.features.flag_settings import feature_settings
from service.jobs.job import Job
from service.resources.declaration import RestResource
from service.resources.units import Units

NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*\Z")


class DomainError(Exception):
    """A domain that conflicts with the service; raised at start-up, naming the domain."""


@dataclass(frozen=True, slots=True)
class Example:
    """A request that `slipway dev` prints as a curl command.

    `path` is relative to `/api/v1/` and may have a query. With a `body` the request is a POST, otherwise a GET. The
    body stands in single quotes in a shell, so `'$RANDOM'` in it gives each run another value.
    """

    path: str
    body: str = ""


async def _no_examples(_: AsyncSession) -> Sequence[Example]:
    return ()


@dataclass(frozen=True, slots=True)
class Seed:
    """Sample data. Each function gets a session whose transaction its caller commits.

    `load` adds what is missing, changes nothing that exists, and returns a line that says what it added. `is_empty`
    returns whether the domain has no rows, not even deleted ones; only then does `slipway dev` load. `examples` returns
    requests to try on what is there.
    """

    load: Callable[[AsyncSession], Awaitable[str]]
    is_empty: Callable[[AsyncSession], Awaitable[bool]]
    examples: Callable[[AsyncSession], Awaitable[Sequence[Example]]] = _no_examples


def _no_jobs(_: Database, __: Settings, ___: Units) -> Sequence[Job]:
    return ()


@dataclass(frozen=True, eq=False)
class Domain:
    """The parts of a domain. All fields except the name are optional.

    `routers` are served under `/api/v1`; each of their routes requires a scope. Those without a tag get the domain's
    name. `jobs` makes the periodic work of each process. `settings` is a class whose fields all have defaults:
    `SLIPWAY_<NAME>__<FIELD>` sets one, and `Settings.group` returns the values. `flags` are the feature flags that its
    code asks; their names are unique among all domains. `caches` are the functions decorated with `cached()`.
    Raises `DomainError`.
    """

    name: str
    resources: Sequence[RestResource] = ()
    routers: Sequence[APIRouter] = ()
    jobs: Callable[[Database, Settings, Units], Sequence[Job]] = _no_jobs
    settings: type[Group] | None = None
    seed: Seed | None = None
    flags: Sequence[AnyFlag] = ()
    caches: Sequence[CachedFunction[..., Any]] = ()

    def __post_init__(self) -> None:
        if not NAME.match(self.name):
            raise DomainError(
                f"{self.name!r}: a domain's name may contain only lowercase letters, digits and single underscores"
            )
        if self.settings is not None and (name := self._without_default(self.settings)):
            raise DomainError(f"{self.name}: the setting {name} needs a default")

    @staticmethod
    def _without_default(settings: type[Group]) -> str | None:
        return next((name for name, field in settings.model_fields.items() if field.is_required()), None)


def resources_of(domains: Sequence[Domain]) -> tuple[RestResource, ...]:
    """Return the resources of all domains. Raises `DomainError` if two domains have the same name."""
    names = [domain.name for domain in domains]
    if twins := sorted({name for name in names if names.count(name) > 1}):
        raise DomainError(f"{twins[0]}: two domains have this name; rename one of them")
    return tuple(chain.from_iterable(domain.resources for domain in domains))


def tables_of(domain: Domain) -> list[sa.Table]:
    """Return the tables of a domain's resources, and the other tables of the modules that define them."""
    modules = {resource.model.__module__ for resource in domain.resources}
    own = (mapper for mapper in default_registry.mappers if mapper.class_.__module__ in modules)
    tables = (table for mapper in own if isinstance(table := mapper.local_table, sa.Table))
    return sorted(tables, key=lambda table: table.name)


def jobs_of(
    domains: Sequence[Domain],
    database: Database,
    settings: Settings,
    units: Units,
    *,
    taken: Sequence[Job] = (),
) -> list[Job]:
    """Return the jobs of all domains. Raises `DomainError` for a job name used twice or in `taken`: row history and
    logs identify jobs by name."""
    names = {job.name for job in taken}
    found = []
    for domain in domains:
        for job in domain.jobs(database, settings, units):
            if job.name in names:
                raise DomainError(f"{domain.name}: another job is called {job.name} too; rename one of them")
            names.add(job.name)
            found.append(job)
    return found


def flags_of(domains: Sequence[Domain]) -> tuple[AnyFlag, ...]:
    """Return the feature flags of all domains."""
    return tuple(chain.from_iterable(domain.flags for domain in domains))


def caches_of(domains: Sequence[Domain]) -> tuple[CachedFunction[..., Any], ...]:
    """Return the cached functions of all domains."""
    return tuple(chain.from_iterable(domain.caches for domain in domains))


def settings_of(domains: Sequence[Domain]) -> type[Settings]:
    """Return the service's settings with a group for each domain that has one, and the names of their feature flags.

    Raises `DomainError` if the service's own settings use the domain's name, and `FlagError` for two flags of one name.
    """
    groups = {domain.name: domain.settings for domain in domains if domain.settings is not None}
    for name in groups:
        if name in Settings.model_fields or hasattr(Settings, name):
            raise DomainError(f"{name}: the service has settings of this name; rename the domain")
    return Settings.with_groups({"feature": feature_settings(flags_of(domains)), **groups})

"""Claims of credentials that own items, for any domains."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import NAMESPACE_DNS, uuid5
from zlib import crc32

import sqlalchemy as sa
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from service.database import Database
from service.resources.declaration import Owner, RestResource
from service.resources.domain import Domain, resources_of
from service.security.api_keys.commands import create_key
from tests.authorization.samples import Json, Samples


class OwnerClaims:
    """For each tenant, claims with which it owns items of every resource.

    Where the owner's column refers to another resource, the tenant is an item of that, which is created.
    """

    def __init__(
        self, app: FastAPI, database: Database, domains: Sequence[Domain], samples: Mapping[str, Json]
    ) -> None:
        self._app = app
        self._database = database
        self._resources = resources_of(domains)
        self._samples = samples
        self._made: dict[str, Json] = {}

    async def of(self, tenant: str) -> Json:
        """Return the claims of a tenant, the same each time."""
        if tenant not in self._made:
            self._made[tenant] = await self._make(tenant)
        return self._made[tenant]

    async def _make(self, tenant: str) -> Json:
        claims: Json = {}
        for resource in self._resources:
            if isinstance(resource.owner, Owner) and resource.owner.claim is not None:
                *parents, name = resource.owner.claim.split(".")
                members = claims
                for parent in parents:
                    members = members.setdefault(parent, {})
                if name not in members:
                    members[name] = await self._value(resource.table.c[resource.owner.field], tenant)
        return claims

    async def _value(self, column: sa.Column[Any], tenant: str) -> str | int:
        for key in column.foreign_keys:
            for other in self._resources:
                if other.table is key.column.table:
                    return await self._created(other)
        if isinstance(column.type, sa.Integer):
            return crc32(tenant.encode()) % 2**15
        return str(uuid5(NAMESPACE_DNS, tenant)) if isinstance(column.type, sa.Uuid) else tenant

    async def _created(self, resource: RestResource) -> str:
        """Create an item as somebody who may do everything, and return its id."""
        async with self._database.session() as session:
            _, key = await create_key(session, name="owners", scopes=("admin",))
        transport = ASGITransport(self._app, raise_app_exceptions=False)
        headers = {"Authorization": f"Bearer {key}"}
        async with AsyncClient(transport=transport, base_url="http://slipway.test", headers=headers) as boss:
            samples = Samples(boss, self._app.openapi(), self._resources, self._samples)
            return (await samples.create(boss, resource))[0]

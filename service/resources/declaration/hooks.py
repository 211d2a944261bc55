"""Hooks: the team's code around changes."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
from sqlmodel.ext.asyncio.session import AsyncSession

from service.models.base import Resource
from service.resources.declaration.unit_of_work import R, UnitOfWork
from service.security.principals import Principal

ReadRow = Callable[[asyncpg.Connection, UUID], Awaitable[Resource | None]]
"""Returns an item and locks it; None if it does not exist."""


@dataclass(slots=True)
class Change:
    """A change, as hooks and actions see it. `operation` is "create", "update" or "delete".

    `values` holds the fields that the client or the action set, as Python values; hooks before the statement may change
    them. `unit` is the transaction of the change, in which code can change other items too. `action` is the name of the
    action that makes the change.
    """

    operation: str
    id: UUID
    values: dict[str, Any]
    unit: UnitOfWork
    read: ReadRow
    action: str | None = None

    @property
    def principal(self) -> Principal:
        """Who makes the change."""
        return self.unit.principal

    @property
    def connection(self) -> asyncpg.Connection:
        """The connection of the transaction. It must not be used after the commit."""
        return self.unit.connection

    def session(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Yield an ORM session in the transaction of the change. What it writes is undone if its block raises."""
        return self.unit.session()

    async def current(self) -> Any:
        """Return the row as it is now, as an instance of its model, locked until the end of the transaction.

        None before a creation and after a deletion.
        """
        return await self.read(self.connection, self.id)

    async def get(self, model: type[R], item_id: UUID) -> R | None:
        """Return another item, locked until the end of the transaction; see `UnitOfWork.get`."""
        return await self.unit.get(model, item_id)

    async def create(self, model: type[Resource], values: Mapping[str, Any]) -> UUID:
        """Create another item in the transaction, and return its id; see `UnitOfWork.create`."""
        return await self.unit.create(model, values)

    async def update(self, model: type[Resource], item_id: UUID, values: Mapping[str, Any]) -> None:
        """Set fields of another item in the transaction; see `UnitOfWork.update`."""
        await self.unit.update(model, item_id, values)

    async def delete(self, model: type[Resource], item_id: UUID) -> None:
        """Mark another item as deleted in the transaction; see `UnitOfWork.delete`."""
        await self.unit.delete(model, item_id)


class Hooks:
    """Override what you need. A resource without hooks needs no transaction around its statements.

    A hook may raise a problem; before the commit this undoes the change.
    """

    def overrides(self, name: str) -> bool:
        """Whether the method `name` differs from this class's."""
        return getattr(getattr(self, name), "__func__", None) is not getattr(Hooks, name)

    async def before_create(self, change: Change) -> None:
        """Run in the transaction, before the row is inserted."""

    async def before_update(self, change: Change) -> None:
        """Run in the transaction, before a patch, a replacement or a restore."""

    async def before_delete(self, change: Change) -> None:
        """Run in the transaction, before the row is marked as deleted."""

    async def before_commit(self, change: Change) -> None:
        """Run in the transaction, after the change."""

    async def after_commit(self, change: Change) -> None:
        """Run after the commit. Its transaction has ended: `change` must not read or write any more."""

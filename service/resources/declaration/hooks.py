"""Hooks: the team's code around changes."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
from sqlmodel.ext.asyncio.session import AsyncSession

from service.database.orm import session_on
from service.models.base import Resource
from service.security.principals import Principal


@dataclass(slots=True)
class Change:
    """A change, as hooks and actions see it. `operation` is "create", "update" or "delete".

    `values` holds the fields that the client or the action set, as Python values; hooks before the statement may change
    them. `connection` is in the transaction of the change. `action` is the name of the action that makes the change.
    """

    operation: str
    id: UUID
    principal: Principal
    values: dict[str, Any]
    connection: asyncpg.Connection
    action: str | None = None
    read: Callable[[asyncpg.Connection, UUID], Awaitable[Resource | None]] | None = None

    def session(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Yield an ORM session in the transaction of the change. What it writes is undone if its block raises."""
        return session_on(self.connection)

    async def current(self) -> Any:
        """Return the row as it is now, as an instance of its model, locked until the end of the transaction.

        None before a creation and after a deletion.
        """
        assert self.read is not None
        return await self.read(self.connection, self.id)


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
        """Run after the commit. `change.connection` must not be used: its transaction has ended."""

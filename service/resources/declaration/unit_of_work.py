"""What hooks, actions, jobs and hand-written routes do in a transaction."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar
from uuid import UUID

import asyncpg
from sqlmodel.ext.asyncio.session import AsyncSession

from service.models.base import Resource
from service.security.principals import Principal

R = TypeVar("R", bound=Resource)


class UnitOfWork(Protocol):
    """One transaction of a principal, in which SQL, ORM sessions and changes of items work together.

    `create`, `update` and `delete` change an item as a request would: the values are validated, the hooks of its
    resource run, and history names the principal and the request. They may set every field that clients see or not,
    except those of the database, and need no scope. The principal's rows are those that it sees as a caller; jobs see
    all. Exactly one resource must serve the model.

    A problem undoes what the call has done, and no more: code may catch it and go on. `HookError` is a bug in the code
    that calls: an unknown field, a value of another type, hooks that call each other in a loop.
    """

    @property
    def principal(self) -> Principal:
        """Who makes the changes."""

    @property
    def connection(self) -> asyncpg.Connection:
        """The connection, for SQL in the transaction. It must not be used after the commit."""

    def session(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Yield an ORM session in the transaction. What it writes is undone if its block raises."""

    async def get(self, model: type[R], item_id: UUID) -> R | None:
        """Return an item and lock it until the end of the transaction. None if it does not exist.

        It is an instance of its model that belongs to no session: changing it changes nothing.
        """

    async def create(self, model: type[Resource], values: Mapping[str, Any]) -> UUID:
        """Create an item with these values and the defaults of other fields, and return its id.

        Its owner is the principal, unless the values name one. Raises `Duplicate`, `ValidationFailed`, `Forbidden` for
        a principal that can own nothing, and the problems of hooks.
        """

    async def update(self, model: type[Resource], item_id: UUID, values: Mapping[str, Any]) -> None:
        """Set these fields of an item. Without a difference there is no new version, and `before_commit` does not run.

        Raises `NotFound`, `Duplicate`, `ValidationFailed`, and the problems of hooks.
        """

    async def delete(self, model: type[Resource], item_id: UUID) -> None:
        """Mark an item as deleted. Raises `NotFound`, `Conflict` if others refer to it, and the problems of hooks."""

"""Runs the hooks that a resource overrides. No hook can undo a commit."""

import asyncio
from collections.abc import Iterable
from copy import deepcopy
from typing import NoReturn

import structlog
from pydantic import BaseModel

from service.http.problems.http_exceptions import raised_as_problem
from service.models.base import Resource
from service.observability.metrics import hook_failures
from service.resources.declaration import Action, Change, Hooks, RestResource
from service.resources.hooks.values import HookValues
from service.resources.schemas.items import Schemas

log = structlog.get_logger(__name__)

_BEFORE = {"create": "before_create", "update": "before_update", "delete": "before_delete"}


class _NoConnection:
    """Placeholder for the connection after the commit. Every use raises `RuntimeError`."""

    def __getattr__(self, name: str) -> NoReturn:
        raise RuntimeError(
            "change.connection must not be used after the commit; open a session or transaction"
        )


NO_CONNECTION = _NoConnection()


class HookRunner:
    """The hooks of one resource. A hook that is not overridden costs nothing: no transaction, no savepoint."""

    def __init__(self, resource: RestResource, schemas: Schemas) -> None:
        hooks = resource.hooks or Hooks()
        self._path = resource.path
        self._name = type(hooks).__name__
        self._before = {
            operation: getattr(hooks, name) for operation, name in _BEFORE.items() if hooks.overrides(name)
        }
        self._before_commit = hooks.before_commit if hooks.overrides("before_commit") else None
        self._after_commit = hooks.after_commit if hooks.overrides("after_commit") else None
        self._values = HookValues(resource, schemas)
        self.exist = bool(self._before or self._before_commit or self._after_commit)

    def stand_before(self, operation: str) -> bool:
        """Whether a hook runs before this operation's statement."""
        return operation in self._before

    def need_transaction(self, operation: str) -> bool:
        """Whether a hook runs in the transaction of this operation."""
        return operation in self._before or self._before_commit is not None

    async def act(self, action: Action, change: Change, item: Resource, body: BaseModel | None) -> None:
        """Run an action, then check the values that it leaves. Raises as `before` does."""
        with raised_as_problem():
            await action.apply(change, item, body)
        self._values.check(change, {}, hook=f"{self._path}.{action.name}")

    def accept(self, change: Change) -> None:
        """Check the values that code has given to a change that it makes itself. Raises as `before` does."""
        self._values.check(
            change,
            {},
            hook=f"{self._path}.{change.operation}",
            is_last=not self.stand_before(change.operation),
        )

    async def before(self, change: Change) -> None:
        """Run the hook before the statement, then check the values that it leaves.

        Raises the problem of the hook, `ValidationFailed` for a value that breaks a rule of its field, and
        `HookError` for values that cannot be stored.
        """
        hook = self._before.get(change.operation)
        given = change.values
        if hook is not None or self._before_commit is not None:
            # Another attempt begins with what was given, whatever hooks do to a list or a document of the client's.
            change.values = deepcopy(given)
        if hook is not None:
            with raised_as_problem():
                await hook(change)
            self._values.check(change, given, hook=f"{self._name}.{_BEFORE[change.operation]}")

    async def before_commit(self, changes: Iterable[Change]) -> None:
        """Run the hook in the transaction, after the statement."""
        if self._before_commit is not None:
            for change in changes:
                with raised_as_problem():
                    await self._before_commit(change)

    async def after_commit(self, change: Change, *, cancellable: bool = False) -> bool:
        """Run the hook after the commit. Return whether further hooks may run.

        Its errors are logged and counted: the change stays committed. A request cancelled here still gets its response,
        without further hooks. `cancellable` work, such as a command, ends instead.
        """
        if self._after_commit is None:
            return True
        try:
            await self._after_commit(change)
        except (Exception, asyncio.CancelledError) as error:  # logged, with its traceback
            self._failed(change, error)
            if isinstance(error, asyncio.CancelledError):
                task = asyncio.current_task()
                if task is not None and task.cancelling():  # otherwise the hook awaited something cancelled
                    if cancellable:
                        raise
                    return False
        return True

    def _failed(self, change: Change, error: BaseException) -> None:
        hook_failures.labels(self._path).inc()
        log.error(
            "after_commit failed",
            exc_info=error,
            hook=f"{self._name}.after_commit",
            operation=change.operation,
            item_id=str(change.id),
        )

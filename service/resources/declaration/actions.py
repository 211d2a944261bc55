"""Actions: named changes of one item, such as `POST /orders/{id}/ship`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pydantic import BaseModel

from service.http.problems import Problem, WrongState
from service.models.base import Resource
from service.resources.declaration.hooks import Change

Run = Callable[..., Awaitable[None]]
"""`run(change, item)`, or `run(change, item, body)` if the action has a body.

`item` is the row as it is, locked until the end of the transaction. What `run` puts into `change.values` is written to
it. A problem that it raises undoes everything.
"""


@dataclass(frozen=True, kw_only=True)
class _Options:
    """What every action can say.

    `body` is the schema of the request's body, which other requests lack; `problems` are those that `run` raises;
    `scope` is required instead of the resource's write scope. With `needs_tag`, a request without If-Match is 428.
    `summary` is the operation in OpenAPI, by default the name's words and one item; `run`'s docstring describes it.
    """

    body: type[BaseModel] | None = None
    problems: tuple[type[Problem], ...] = ()
    scope: str | None = None
    needs_tag: bool = False
    summary: str = ""


@dataclass(frozen=True)
class Action(_Options):
    """A change that `run` makes. `name` is an identifier: `mark_paid` is `POST /orders/{id}/mark-paid`."""

    name: str
    run: Run | None = None

    @property
    def segment(self) -> str:
        """The last segment of the path."""
        return self.name.replace("_", "-")

    @property
    def raised(self) -> tuple[type[Problem], ...]:
        """The problems that the action raises."""
        return self.problems

    @property
    def effect(self) -> str:
        """What the action does, for OpenAPI, if `run` has no docstring."""
        return f"Runs `{self.name}`."

    async def apply(self, change: Change, item: Resource, body: BaseModel | None) -> None:
        """Run the action. What it leaves in `change.values` is to be written."""
        if self.run is not None:
            await (self.run(change, item) if body is None else self.run(change, item, body))


@dataclass(frozen=True)
class Transition(Action):
    """A change of the state `field` from one of the `source` values to `target`. Others are refused with `WrongState`.

    `run` may refuse it for reasons of its own, and set other fields.
    """

    field: str = ""
    source: tuple[Any, ...] | Any = ()
    target: Any = None

    @property
    def sources(self) -> tuple[Any, ...]:
        return self.source if isinstance(self.source, tuple) else (self.source,)

    @property
    def raised(self) -> tuple[type[Problem], ...]:
        return (WrongState, *self.problems)

    @property
    def effect(self) -> str:
        sources = " or ".join(f"`{_text(source)}`" for source in self.sources)
        return f"Changes `{self.field}` from {sources} to `{_text(self.target)}`."

    async def apply(self, change: Change, item: Resource, body: BaseModel | None) -> None:
        state = getattr(item, self.field)
        if state not in self.sources:
            allowed = " or ".join(map(_text, self.sources))
            raise WrongState(f"{self.field} is {_text(state)}; it must be {allowed}.")
        change.values[self.field] = self.target
        await super().apply(change, item, body)


def _text(state: Any) -> str:
    return str(state.value if isinstance(state, Enum) else state)

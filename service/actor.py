"""The actor who changes rows: the principal of a request, a job or a command. Tasks inherit it.

It also carries the feature flags that it began with, so that one request sees one state of each flag.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import NamedTuple, Protocol

NOBODY = "system"


class SeenRows(NamedTuple):
    """The rows that an actor sees, as PostgreSQL's row-level security is told: `told` is the JSON text of
    `slipway.rows`. `key` differs between actors who see different rows, for caches."""

    told: str
    key: str


EVERY_ROW = SeenRows('{"all":["*"]}', "*")
"""The rows of all owners in all tables: for the service itself."""


class Acting(Protocol):
    """The principal and id of a request. Both may be set while it runs."""

    @property
    def actor(self) -> str:
        """The name for `created_by`, `updated_by` and row history."""

    @property
    def request_id(self) -> str | None:
        """The request id, or None outside requests."""

    @property
    def flags(self) -> object:
        """The states of feature flags, by name, as `service.features` made them; None if they have their defaults."""

    @property
    def rows(self) -> SeenRows | None:
        """The rows that row-level security lets it see; None: those without an owner."""


@dataclass(frozen=True, slots=True)
class Actor:
    """The actor outside requests: `job:<name>` or `cli:<command>`."""

    actor: str
    request_id: str | None = None
    flags: object = None
    rows: SeenRows | None = None


_current: ContextVar[Acting | None] = ContextVar("actor", default=None)


current = _current.get
"""Return the current actor, or None if none is set."""


def seen_rows() -> SeenRows | None:
    """Return the rows that the current actor sees, as row-level security is told; None to tell it nothing."""
    acting = _current.get()
    return None if acting is None else acting.rows


def name() -> str:
    """Return the author for `created_by` and `updated_by` of a new row: the actor, or `system` if none is set."""
    acting = _current.get()
    return NOBODY if acting is None else acting.actor


begin = _current.set
"""Attribute all changes from now on to this actor. Returns what `end` needs. For the edge: others use `acting_as`."""
end = _current.reset
"""Attribute changes to the actor from before `begin` again."""


@contextmanager
def acting_as(acting: Acting) -> Iterator[None]:
    """Attribute all changes within the block to this actor."""
    token = begin(acting)
    try:
        yield
    finally:
        end(token)

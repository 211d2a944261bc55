"""Items that are created together with the item that they belong to."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.resources.declaration import DeclarationError
from service.resources.engine import Engine
from service.resources.visibility import EngineOf, engine_of_caller
from service.security.principals import Principal

MOST = 100
"""Children of one kind in one request."""


@dataclass(frozen=True, eq=False)
class Children:
    """The `member` of a new item holds new items of another resource, whose foreign key `column` refers to it."""

    member: str
    column: str
    engine: Engine
    find: EngineOf | None

    def engine_for(self, principal: Principal) -> Engine:
        """Return the engine for a caller."""
        return self.engine if self.find is None else self.find(principal)


def children_of(engine: Engine, engines: Sequence[Engine]) -> list[Children]:
    """Return the declared children of a resource. Raises `DeclarationError`."""
    return [_children(engine, member, path, engines) for member, path in engine.resource.children.items()]


def _children(engine: Engine, member: str, path: str, engines: Sequence[Engine]) -> Children:
    resource = engine.resource
    if member in resource.model.model_fields or member in resource.expand or not member.isidentifier():
        raise DeclarationError(f"{resource.path}: children cannot be called {member}; choose another name")
    child = next((other for other in engines if other.resource.path == path), None)
    if child is None:
        raise DeclarationError(f"{resource.path}: {member} are {path}, but no resource has this path")
    keys = child.resource.table.foreign_keys
    columns = [key.parent.name for key in keys if key.column is resource.table.c.id]
    if len(columns) != 1:
        raise DeclarationError(
            f"{resource.path}: {member} are {path}, which have {len(columns)} foreign keys to {resource.table.name} "
            "instead of one"
        )
    return Children(member, columns[0], child, engine_of_caller(child))

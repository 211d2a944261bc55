"""The schemas of an item that is created together with its children."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, Field

from service.http.content.schemas import Input, make_model
from service.resources.engine import Engine
from service.resources.relations.children import MOST, Children
from service.resources.schemas.items import writable


class Nested(NamedTuple):
    """The body of the request, and that of the response."""

    body: type[BaseModel]
    response: type[BaseModel]


def nested_schemas(engine: Engine, children: Sequence[tuple[Children, Engine]]) -> Nested:
    """Return the schemas for callers with these engines: those of the item, each with a list for its children."""
    name = engine.resource.name
    parts = [(child, own, child.member.title().replace("_", "")) for child, own in children]
    given: dict[str, Any] = {}
    shown: dict[str, Any] = {}
    for child, own, part in parts:
        of, one = own.resource, engine.resource.singular
        fields = {f: writable(of, f) for f in of.input_fields if f != child.column}
        model: Any = make_model(
            f"{name}{part}Create", Input, fields, f"{of.a_singular.capitalize()} of a new {one}."
        )
        told = f"New {of.plural} of the {one}. A list that is not empty needs the scope `{of.scopes.write}`."
        given[child.member] = (list[model], Field(default_factory=list, max_length=MOST, description=told))
        read: Any = own.schemas.read
        shown[child.member] = (list[read], Field(description=f"The new {of.plural}."))
    ending = f"With{''.join(part for *_, part in parts)}"
    schemas = engine.schemas
    return Nested(
        make_model(f"{name}Create{ending}", schemas.create, given, schemas.create.__doc__),
        make_model(f"{name}Read{ending}", schemas.read, shown, schemas.read.__doc__),
    )

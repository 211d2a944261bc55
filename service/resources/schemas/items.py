"""Pydantic models of a resource for requests and responses, made from the fields of its table.

Table classes are never request or response schemas: validating one costs twenty times as much.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Any, Literal, cast, get_args

from pydantic import AwareDatetime, BaseModel, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from service.http.content.schemas import Input, Output, Values, make_model
from service.http.problems.messages import message_of
from service.resources.columns.column_types import kind_of
from service.resources.columns.model_fields import input_type, output_type, shown_type
from service.resources.declaration import DeclarationError, RestResource, Transition
from service.resources.relations.relation import Relation
from service.resources.schemas.bulk_bodies import BulkSchemas, bulk_names


class FieldChange(Output):
    """One field of one version: its value before and after, as in the item."""

    field: str = Field(examples=["price"])
    before: Any = Field(description="Null in the first version.", examples=["49.90"])
    after: Any = Field(examples=["44.90"])


class HistoryEntry(Output):
    """One version of an item."""

    version: int
    action: Literal["create", "update", "delete", "restore", "erase"]
    actor: str = Field(description="Who changed it.", examples=["key:gse3ndxsezxn"])
    request_id: str | None = Field(
        description="The request that changed it; null for changes outside the API."
    )
    at: AwareDatetime
    changes: list[FieldChange]


class HistoryPage(Output):
    """One page of an item's history, newest version first."""

    items: list[HistoryEntry]
    next_cursor: str | None = Field(description="Cursor of the next page; null on the last page.")


class Schemas:
    """The models of one resource.

    `create` is also the body of PUT; `imported` is a line of an import, which may also set what only the service sets;
    `values` is for values set by hooks.
    """

    def __init__(
        self, resource: RestResource, relations: Sequence[Relation] = (), *, bulk_operations: int
    ) -> None:
        name = resource.name
        self._resource, self._bulk_operations = resource, bulk_operations
        self.create = make_model(
            f"{name}Create",
            Input,
            {f: writable(resource, f) for f in resource.input_fields},
            f"A new {resource.singular}.",
        )
        self.imported = _imported(resource) if resource.readonly else self.create
        self.patch = make_model(
            f"{name}Patch",
            Input,
            {f: _optional(resource, f) for f in resource.input_fields if f not in resource.immutable},
            f"Changes to {resource.a_singular}, as a JSON merge patch (RFC 7396): absent fields stay unchanged.",
        )
        self.values = make_model(
            f"{name}Values", Values, {f: _optional(resource, f) for f in resource.own_fields}
        )
        _check_defaults(resource, self.values)
        _check_states(resource, self.values)
        self.history = _history(resource) if resource.actions else HistoryPage
        self.read = make_model(
            f"{name}Read",
            Output,
            _shown(resource, relations),
            f"{resource.a_singular[0].upper()}{resource.a_singular[1:]}.",
        )
        self.page = _page(resource, self.read)

    @cached_property
    def bulk(self) -> BulkSchemas:
        """The models of bulk requests, made when they are first needed: commands, and callers who do not see every
        field, seldom do."""
        resource = self._resource
        return BulkSchemas(
            resource.name,
            create=self.create,
            patch=self.patch,
            read=self.read,
            most=self._bulk_operations,
            without=resource.without,
            actions=resource.actions,
        )

    @property
    def named(self) -> tuple[type[BaseModel] | str, ...]:
        """Return the models that operations use, in which others are nested. Of those for bulk requests, which are not
        made for this, only the names."""
        resource = self._resource
        bodies = (action.body for action in resource.actions if action.body)
        bulk = bulk_names(resource.name, without=resource.without, actions=resource.actions)
        return self.create, self.patch, self.page, self.history, *bodies, *bulk

    def build(self) -> None:
        """Build all that the document describes, parts first: Pydantic would build a part in each model that has it."""
        items, bulk = (self.create, self.patch, self.read), self.bulk
        for model in (*items, *bulk.operations, self.page, self.history, bulk.request, bulk.results):
            model.model_rebuild()


def _imported(resource: RestResource) -> type[BaseModel]:
    fields = {f: writable(resource, f) for f in resource.input_fields}
    fields |= {f: _optional(resource, f) for f in resource.own_fields if f in resource.readonly}
    if resource.owner_field is not None:
        fields[resource.owner_field] = writable(resource, resource.owner_field)
    return make_model(f"{resource.name}Import", Input, fields)


def _page(resource: RestResource, read: Any) -> type[BaseModel]:
    total = Field(
        default=0,
        ge=0,
        description="Number of items in the whole list, if requested.",
        json_schema_extra=_drop_default,
    )
    return make_model(
        f"{resource.name}Page",
        Output,
        {
            "items": (list[read], Field(description="The items, in the requested order.")),
            "next_cursor": (
                str | None,
                Field(description="Cursor of the next page; null on the last page."),
            ),
            "total": (int, total),
        },
        f"One page of a list of {resource.plural}.",
    )


def writable(resource: RestResource, name: str) -> tuple[Any, Any]:
    """Return the type and default of a field of a new item."""
    info = resource.model.model_fields[name]
    if info.default_factory is not None:
        return _annotated(resource, name), Field(default_factory=cast("Any", info.default_factory))
    default = ... if info.default is PydanticUndefined else info.default
    return _annotated(resource, name), default


def _check_defaults(resource: RestResource, values: type[BaseModel]) -> None:
    """Raise `DeclarationError` for a default that breaks the rules of its own field: clients would get the blame."""
    for name in resource.own_fields:
        column = resource.table.c[name]
        default = resource.model.model_fields[name].get_default(call_default_factory=True, validated_data={})
        if default is PydanticUndefined or (default is None and (column.nullable or column.server_default)):
            continue
        try:
            values.model_validate({name: default})
        except ValidationError as error:
            reason = message_of(error.errors(include_url=False, include_input=False)[0])
            raise DeclarationError(
                f"{resource.path}: the default of {name} breaks the field's own rules: {reason}; change one of them"
            ) from None


def _check_states(resource: RestResource, values: type[BaseModel]) -> None:
    """Raise `DeclarationError` for a state of a transition that its field cannot have."""
    for action in (action for action in resource.actions if isinstance(action, Transition)):
        for state in (*action.sources, action.target):
            try:
                values.model_validate({action.field: state})
            except ValidationError as error:
                reason = message_of(error.errors(include_url=False, include_input=False)[0])
                raise DeclarationError(
                    f"{resource.path}: {action.name} names the state {state!r}, but {action.field} {reason}"
                ) from None


def _history(resource: RestResource) -> type[BaseModel]:
    """Return a page of a history that names the resource's own actions too."""
    usual = get_args(HistoryEntry.model_fields["action"].annotation)
    actions = tuple(action.name for action in resource.actions)
    entry: Any = make_model(
        f"{resource.name}HistoryEntry",
        HistoryEntry,
        {"action": (Literal[(*usual, *actions)], ...)},
        HistoryEntry.__doc__,
    )
    return make_model(
        f"{resource.name}HistoryPage", HistoryPage, {"items": (list[entry], ...)}, HistoryPage.__doc__
    )


def _optional(resource: RestResource, name: str) -> tuple[Any, Any]:
    # The default means "absent" and is never validated; an explicit null is valid only for nullable types.
    return _annotated(resource, name), Field(default=None, json_schema_extra=_drop_default)


def _drop_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


def _readable(resource: RestResource, name: str) -> tuple[Any, Any]:
    info = resource.model.model_fields[name]
    type_ = output_type(info, resource.kinds[name])
    shown: Any = Annotated[type_, Field(description=_description(resource, name), **_extra(info))]
    # Callers without its scope get an item without the member.
    return shown, Field(default=None, json_schema_extra=_drop_default) if name in resource.visible else ...


def _shown(resource: RestResource, relations: Sequence[Relation]) -> dict[str, Any]:
    """Return the members of an item, with those that only some responses have."""
    return {
        **{f: _readable(resource, f) for f in resource.shown_fields},
        **{name: _computed(resource, name) for name in resource.computed},
        **{r.name: _expanded(resource.name, r) for r in relations if r.shown},
    }


def _computed(resource: RestResource, name: str) -> tuple[Any, Any]:
    computed = resource.computed[name]
    kind = kind_of(computed.sql(resource.table.c).type)
    type_ = shown_type(kind)
    told = f"{computed.description} Absent with `as_of`.{resource.note_on(name)}"
    default = Field(default=None, description=told, json_schema_extra=_drop_default)
    return type_ | None if computed.nullable else type_, default


def _expanded(name: str, relation: Relation) -> tuple[Any, Any]:
    target = relation.target
    part = "".join(word.capitalize() for word in relation.name.split("_"))
    fields = {f: _readable(target, f) for f in relation.shown}
    model: Any = make_model(f"{name}{part}", Output, fields, f"{target.a_singular.capitalize()}, in part.")
    told = f"The {target.singular} that `{relation.column}` refers to, with `expand={relation.name}`; null without one."
    return model | None, Field(default=None, description=told, json_schema_extra=_drop_default)


def _description(resource: RestResource, name: str) -> str | None:
    own = resource.model.model_fields[name].description
    return f"{own or ''}{resource.note_on(name)}".strip() or None


def _annotated(resource: RestResource, name: str) -> Any:
    """Return the field's type with its rules and the bounds of its column."""
    info = resource.model.model_fields[name]
    type_ = input_type(info, resource.table.c[name], resource.kinds[name])
    return Annotated[type_, Field(description=_description(resource, name), **_extra(info))]


def _extra(info: FieldInfo) -> dict[str, Any]:
    return {"examples": info.examples} if info.examples else {}

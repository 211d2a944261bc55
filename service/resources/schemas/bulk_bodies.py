"""The schemas of bulk requests and their results."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Literal, Union
from uuid import UUID

from pydantic import BaseModel, Field, TypeAdapter
from pydantic_core import SchemaValidator

from service.http.content.preconditions import TAGS_PATTERN
from service.http.content.schemas import Input, Output, make_model
from service.http.content.validation import validator_of
from service.http.openapi import Problem as ProblemDocument
from service.resources.declaration import BULK_KINDS, Action

Schema = type[BaseModel]

_TAG = Annotated[
    str,
    Field(
        description="ETag of the item, or `*`.", max_length=1000, json_schema_extra={"pattern": TAGS_PATTERN}
    ),
]
_ONE = Annotated[UUID, Field(description="Id of the item.")]
_MODE = (
    Literal["atomic", "partial"],
    Field(
        default="atomic",
        description="`atomic`: all operations or none. `partial`: each operation on its own.",
    ),
)


class Envelope(Input):
    """A bulk request whose operations are not validated yet."""

    mode: Literal["atomic", "partial"] = "atomic"
    operations: list[Any] = Field(min_length=1)


class BulkSchemas:
    """`request` and `results` are the documented bodies; `operation` validates one operation of a request, which is of
    one of the schemas `operations`.

    Operations that the resource leaves out are not available in bulk; its actions are.
    """

    def __init__(
        self,
        name: str,
        *,
        create: Schema,
        patch: Schema,
        read: Schema,
        most: int,
        without: frozenset[str],
        actions: Sequence[Action] = (),
    ) -> None:
        target = {"id": (_ONE, ...), "if_match": (_TAG, ...)}
        fields: dict[str, dict[str, Any]] = {
            "create": {"item": (create, ...)},
            "patch": {**target, "changes": (patch, ...)},
            "delete": target,
        }
        fields = {kind: fields[kind] for kind in BULK_KINDS if kind not in without}
        for action in actions:
            fields[action.name] = {**target, "body": (action.body, ...)} if action.body else target
        self.kinds = frozenset(fields)
        self._members = {
            kind: {member: type_ for member, (type_, _) in of_kind.items() if member not in target}
            for kind, of_kind in fields.items()
        }
        self.operations = tuple(_operation(name, kind, of_kind) for kind, of_kind in fields.items())
        operation: Any = self.operations[0] if self.operations else BaseModel
        if len(self.operations) > 1:
            operation = Annotated[Union[self.operations], Field(discriminator="op")]  # noqa: UP007  # made at run time
        self._operation = operation
        operations = (list[operation], Field(min_length=1, max_length=most))
        self.request = make_model(f"{name}Bulk", Input, {"mode": _MODE, "operations": operations})
        result: Any = make_model(f"{name}Result", Output, _result(read))
        self.results = make_model(f"{name}Results", Output, {"results": (list[result], ...)})

    def members(self, kind: Any) -> Mapping[str, Schema]:
        """Return the schemas of the members that only this kind of operation has."""
        return self._members.get(kind, {}) if isinstance(kind, str) else {}

    @cached_property
    def operation(self) -> TypeAdapter[Any]:
        return TypeAdapter(self._operation)

    @cached_property
    def large_operation(self) -> SchemaValidator:
        """Like `operation`, but lists stop at their first wrong element."""
        return validator_of(self.operation.core_schema)


def bulk_names(name: str, *, without: frozenset[str], actions: Sequence[Action] = ()) -> tuple[str, ...]:
    """Return the names of all schemas that `BulkSchemas` makes."""
    kinds = [kind for kind in BULK_KINDS if kind not in without] + [action.name for action in actions]
    return (
        f"{name}Bulk",
        f"{name}Results",
        f"{name}Result",
        *(_operation_name(name, kind) for kind in kinds),
    )


def _operation_name(name: str, kind: str) -> str:
    return f"{name}{kind.title().replace('_', '')}Operation"


def _operation(name: str, kind: str, fields: dict[str, Any]) -> Schema:
    tag: Any = Literal[kind]
    return make_model(_operation_name(name, kind), Input, {"op": (tag, ...), **fields})


def _result(read: Schema) -> dict[str, Any]:
    status = Field(description="Status that a separate request for this operation would get.")
    return {
        "status": (int, status),
        "id": (UUID, Field(default=None)),
        "etag": (str | None, Field(default=None)),
        "item": (read, Field(default=None)),
        "problem": (ProblemDocument, Field(default=None)),
    }

"""Checks `change.values` after a hook, before the values reach a statement."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticUndefined

from service.http import problems
from service.http.content.validation import field_errors
from service.resources.declaration import Change, RestResource
from service.resources.schemas.items import Schemas

# Prefixes of Pydantic's error types for a value of the right type that breaks a rule of its field.
_RULES = (
    "decimal_max",
    "decimal_whole",
    "finite_number",
    "greater_than",
    "less_than",
    "multiple_of",
    "string_pattern",
    "string_too",
    "too_",
    "value_error",
)


class HookError(Exception):
    """A hook left values that cannot be stored: a bug in the hook, reported in the log but not to the client."""


class HookValues:
    """Checks the values of one resource against the rules of its fields."""

    def __init__(self, resource: RestResource, schemas: Schemas) -> None:
        self._resource = resource
        self._model = schemas.values

    def check(self, change: Change, given: Mapping[str, Any], *, hook: str, is_last: bool = True) -> None:
        """Convert values that differ from `given` to the fields' types. A new item gets its defaults.

        Raises `ValidationFailed` for a value that breaks a rule, and `HookError` for an unknown name, a value of
        another type, and a required field that is not set, unless a hook that follows may set it.
        """
        left = change.values
        if not isinstance(left, dict):
            raise HookError(f"{hook} must leave change.values a dictionary, not {type(left).__name__}")
        if unknown := sorted(str(name) for name in left if name not in self._resource.own_fields):
            raise HookError(f"{hook} sets {', '.join(unknown)}, which is not writable")
        if change.operation == "delete" and left:
            raise HookError(f"{hook} sets {', '.join(sorted(left))}: a deletion sets no field")
        set_by_hook = {n: v for n, v in left.items() if n not in given or not _same(v, given[n])}
        if set_by_hook:
            validated = self._validated(set_by_hook, hook)
            left.update((name, getattr(validated, name)) for name in set_by_hook)
        if change.operation == "create" and len(left) < len(self._resource.own_fields):
            values = ((name, self._value(name, left)) for name in self._resource.own_fields)
            change.values = {name: value for name, value in values if value is not PydanticUndefined}
            if is_last:
                self._refuse_missing(change.values, given, hook)

    def _validated(self, given: dict[str, Any], hook: str) -> BaseModel:
        try:
            return self._model.model_validate(given)
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False, include_context=False)
            wrong = [item for item in found if not item["type"].startswith(_RULES)]
            if not wrong:
                raise problems.ValidationFailed(errors=field_errors(error)) from None
            reasons = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in wrong)
            raise HookError(f"{hook} leaves wrong values: {reasons}") from None

    def _value(self, name: str, values: Mapping[str, Any]) -> Any:
        return values[name] if name in values else self._resource.default_of(name, values)

    def _refuse_missing(self, values: Mapping[str, Any], given: Mapping[str, Any], hook: str) -> None:
        for name in self._resource.own_fields:
            if name not in values:
                does = "removes" if name in given else "does not set"
                raise HookError(f"{hook} {does} {name}, which has no default")


def _same(value: Any, other: Any) -> bool:
    return type(value) is type(other) and bool(value == other)

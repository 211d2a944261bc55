"""The bases of all request and response schemas."""

from typing import Any, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, GetCoreSchemaHandler, create_model
from pydantic_core import CoreSchema, core_schema


def _integral(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


INTEGRAL = BeforeValidator(_integral)
"""Accepts 5.0 as the integer 5, for types outside of `Input`."""

_PARTS = ("schema", "fields", "choices", "items_schema", "keys_schema", "values_schema")
"""Members of a core schema that hold schemas."""


def _with_integral_floats(schema: Any) -> Any:
    """Return the core schema with `INTEGRAL` around each integer; nested models are complete already."""
    if isinstance(schema, list):
        return [_with_integral_floats(part) for part in schema]
    if not isinstance(schema, dict) or schema.get("function", {}).get("function") is _integral:
        return schema
    if schema.get("type") == "int":
        return core_schema.no_info_before_validator_function(_integral, cast("CoreSchema", schema))
    names = list(schema) if schema.get("type") is None else _PARTS  # the fields of a model, by name
    return schema | {name: _with_integral_floats(schema[name]) for name in names if name in schema}


class Input(BaseModel):
    """Base of what clients send: unknown members are refused, and nothing is guessed from another type.

    JSON has one kind of number, so 5.0 is the integer 5, as JSON Schema says too.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return cast("CoreSchema", _with_integral_floats(handler(source)))


class Values(BaseModel):
    """Base of values set by Python code, which may need conversion, such as from text to an enum."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Output(BaseModel):
    """Base of what clients get."""

    model_config = ConfigDict(extra="forbid")


def make_model(
    name: str, base: type[BaseModel], fields: dict[str, Any], doc: str | None = None
) -> type[BaseModel]:
    """A model made at run time; `fields` are (type, default) by name.

    Pydantic builds its validator when it is first used. Most of these models only describe the API.
    """
    waiting = {"defer_build": True}
    made: Any = create_model(name, __base__=base, __doc__=doc, __cls_kwargs__=waiting, **fields)
    model = cast("type[BaseModel]", made)
    del model.model_config["defer_build"]  # which FastAPI's type adapters would take over
    return model

"""The bases of all request and response schemas."""

from typing import Any, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, create_model


class Input(BaseModel):
    """Base of what clients send: unknown members are refused, and nothing is guessed from another type."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Values(BaseModel):
    """Base of values set by Python code, which may need conversion, such as from text to an enum."""

    model_config = ConfigDict(extra="forbid")


class Output(BaseModel):
    """Base of what clients get."""

    model_config = ConfigDict(extra="forbid")


def make_model(
    name: str, base: type[BaseModel], fields: dict[str, Any], doc: str | None = None
) -> type[BaseModel]:
    """A model made at run time; `fields` are (type, default) by name."""
    return cast("type[BaseModel]", create_model(name, __base__=base, __doc__=doc, **fields))


def _integral(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


INTEGRAL = BeforeValidator(_integral)
"""JSON has one kind of number, so 5.0 is the integer 5, as JSON Schema says too."""

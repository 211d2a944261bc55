"""The base class of settings groups."""

import ast
import inspect
import textwrap
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, ValidationInfo, field_validator
from pydantic.config import JsonDict
from pydantic_core import CoreSchema

from service.config.decoding import decode

PREFIX = "SLIPWAY_"

LIVE: Final[JsonDict] = {"changes": "at run time"}
"""`json_schema_extra` of fields that are also feature flags: `service.features.live_settings`."""
REREAD: Final[JsonDict] = {"changes": "file is re-read"}
"""`json_schema_extra` of fields whose secret file is read again while the service runs."""

Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)]


class Group(BaseModel):
    """One group of settings. An unknown field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _from_text(cls, value: Any, info: ValidationInfo) -> Any:
        return decode(value, cls.model_fields[str(info.field_name)]) if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        shape = handler(schema)
        properties = handler.resolve_ref_schema(shape).get("properties", {})
        for name, text in descriptions(cls).items():
            properties[name]["description"] = text
        return shape


@cache
def descriptions(group: type[Group]) -> Mapping[str, str]:
    """Return the text under each field of the group that has one.

    It is read from the source when somebody asks. Pydantic's `use_attribute_docstrings` reads it in each process, which
    takes a tenth of the time that all imports take.
    """
    found: dict[str, str] = {}
    for cls in reversed(group.__mro__):
        if issubclass(cls, Group) and "__annotations__" in vars(cls):
            found |= _texts(cls)
    return {name: text for name, text in found.items() if name in group.model_fields}


def _texts(cls: type[Group]) -> dict[str, str]:
    try:
        source = inspect.getsource(cls)
    except OSError:  # there is none: a program of bytecode only
        return {}
    (body,) = ast.parse(textwrap.dedent(source)).body
    assert isinstance(body, ast.ClassDef)
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in pairwise(body.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }

"""The base class of settings groups."""

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic.config import JsonDict

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

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    @field_validator("*", mode="before")
    @classmethod
    def _from_text(cls, value: Any, info: ValidationInfo) -> Any:
        return decode(value, cls.model_fields[str(info.field_name)]) if isinstance(value, str) else value

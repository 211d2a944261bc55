"""Values and rules of feature flags that were set at run time. Flags without a row have their setting or default."""

from typing import Any

from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from service.models.base import Resource


class FeatureFlag(Resource, table=True):
    """The state of one flag. A deleted row is a flag that was unset; its next value continues the versions."""

    __tablename__ = "feature_flag"

    name: str = Field(max_length=63, unique=True)
    value: Any = Field(default=None, sa_type=JSONB(none_as_null=True), nullable=True)
    rules: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSONB)

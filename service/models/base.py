"""The base class of resource tables: id, timestamps, authors, version, soft delete and row history."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, func
from sqlmodel import Field

from service import actor
from service.models.table import Table
from service.models.uuid7 import uuid7

PRINCIPAL_LENGTH = 512  # "token:", a subject of 255, "@", an issuer of 250
_ACTOR = {"examples": ["key:gse3ndxsezxn"]}


class Resource(Table):
    """Base of the tables that the REST engine serves.

    `version` starts at 1 and increases by one with each change; a trigger ensures it for any statement. `deleted_at`
    marks a soft-deleted row. `op.track_history()` in the migration creates the history triggers.
    """

    id: UUID = Field(default_factory=uuid7, primary_key=True, description="Id of the item, a UUID version 7.")
    created_at: datetime = Field(
        sa_type=DateTime(timezone=True),
        sa_column_kwargs={"server_default": func.now()},
        description="When the item was created.",
    )
    updated_at: datetime = Field(
        sa_type=DateTime(timezone=True),
        sa_column_kwargs={"server_default": func.now()},
        description="When the item was last changed.",
    )
    created_by: str = Field(
        default_factory=actor.name,
        max_length=PRINCIPAL_LENGTH,
        description="Who created the item.",
        schema_extra=_ACTOR,
    )
    updated_by: str = Field(
        default_factory=actor.name,
        max_length=PRINCIPAL_LENGTH,
        description="Who last changed the item.",
        schema_extra=_ACTOR,
    )
    version: int = Field(
        default=1, sa_column_kwargs={"server_default": "1"}, description="Increases by one with each change."
    )
    deleted_at: datetime | None = Field(
        default=None, sa_type=DateTime(timezone=True), description="When the item was deleted."
    )


SYSTEM_FIELDS = frozenset(Resource.model_fields)

"""Row history: full images of rows, written by a trigger that no code can bypass."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from service.models.table import Table


class RowHistory(Table, table=True):
    """One version of a row. `row` holds the columns as they were after the change."""

    __tablename__ = "row_history"

    table_name: str = Field(sa_type=Text, primary_key=True)
    row_id: UUID = Field(primary_key=True)
    version: int = Field(primary_key=True)
    action: str = Field(sa_type=Text, description="create, update, delete, restore or erase")
    actor: str = Field(sa_type=Text, description="the principal, as in updated_by")
    request_id: str | None = Field(default=None, sa_type=Text)
    at: datetime = Field(sa_type=DateTime(timezone=True))
    row: dict[str, Any] = Field(sa_type=JSONB)
    db_user: str | None = Field(
        default=None,
        sa_type=Text,
        sa_column_kwargs={"server_default": text("session_user")},
        description="the role that the session logged in as, regardless of the actor",
    )

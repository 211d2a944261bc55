"""API keys: a public prefix, which finds the row, and a hash of the secret part."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, DateTime, LargeBinary, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from service.models.table import Table
from service.models.uuid7 import uuid7


class ApiKey(Table, table=True):
    __tablename__ = "api_key"

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    name: str = Field(max_length=100)
    prefix: str = Field(max_length=16, unique=True)
    secret_hash: bytes = Field(
        sa_type=LargeBinary, description="SHA-256 of the secret, which has 256 random bits"
    )
    scopes: list[str] = Field(sa_type=ARRAY(Text))
    claims: dict[str, str] = Field(
        default_factory=dict, sa_type=JSONB, sa_column_kwargs={"server_default": "{}"}
    )
    created_at: datetime = Field(
        sa_type=DateTime(timezone=True), sa_column_kwargs={"server_default": func.now()}
    )
    expires_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    last_used_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    revoked_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))

"""Responses stored for clients that repeat a request with the same Idempotency-Key."""

from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, LargeBinary, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from service.models.indexes import plain_index
from service.models.table import Table


class IdempotencyRecord(Table, table=True):
    """The response to the first request of `principal` with `key`, written in the same transaction as its effect."""

    __tablename__ = "idempotency_record"
    __table_args__ = (plain_index("idempotency_record", "created_at"),)

    principal: str = Field(sa_type=Text, primary_key=True)
    key: str = Field(sa_type=Text, primary_key=True)
    fingerprint: bytes = Field(sa_type=LargeBinary, description="SHA-256 of method, path and body")
    status: int
    headers: dict[str, Any] = Field(sa_type=JSONB)
    body: str = Field(sa_type=Text)
    created_at: datetime = Field(
        sa_type=DateTime(timezone=True), sa_column_kwargs={"server_default": func.now()}
    )
    caller: str | None = Field(
        default=None,
        sa_type=Text,
        sa_column_kwargs={"server_default": text("slipway_caller()")},
        description="who may read it, for row-level security; null if that is off",
    )

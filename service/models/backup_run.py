"""What backup commands did, for the metrics that the service reports about them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Text, func
from sqlmodel import Field

from service.models.table import Table
from service.models.uuid7 import uuid7


class BackupRun(Table, table=True):
    """One run of `slipway backup create`, `prune` or `drill`, written at its end."""

    __tablename__ = "backup_run"

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    kind: str = Field(sa_type=Text, description="create, prune or drill")
    ok: bool
    backup: str | None = Field(default=None, sa_type=Text, description="id of the backup")
    ended_at: datetime = Field(
        sa_type=DateTime(timezone=True), sa_column_kwargs={"server_default": func.now()}
    )
    seconds: float
    size: int | None = Field(default=None, sa_type=BigInteger, description="bytes of the backup")
    storage_free: int | None = Field(default=None, sa_type=BigInteger, description="bytes; null in S3")
    storage_size: int | None = Field(default=None, sa_type=BigInteger, description="bytes; null in S3")
    detail: str | None = Field(default=None, sa_type=Text, description="why it failed")

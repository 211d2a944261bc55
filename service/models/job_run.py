"""The last run of each job that runs once per cluster, and the lease of the process that runs it now."""

from datetime import datetime

from sqlalchemy import DateTime, Text
from sqlmodel import Field

from service.models.table import Table


class JobRun(Table, table=True):
    """One row for each job. While `leased_until` is in the future, its `owner` runs it."""

    __tablename__ = "job_run"

    name: str = Field(sa_type=Text, primary_key=True)
    owner: str = Field(sa_type=Text, description="host and process id")
    began_at: datetime = Field(sa_type=DateTime(timezone=True))
    leased_until: datetime = Field(sa_type=DateTime(timezone=True))
    ended_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    outcome: str | None = Field(
        default=None, sa_type=Text, description="success, failure, timeout or cancelled"
    )

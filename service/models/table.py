"""The root of all tables: one metadata, one way to name constraints."""

from typing import ClassVar

from sqlalchemy import MetaData
from sqlmodel import SQLModel


class Table(SQLModel):
    """Base of every table. The names of constraints are a contract: database errors find fields by them."""

    metadata: ClassVar[MetaData] = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        }
    )

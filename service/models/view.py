"""The base class of views that the REST engine serves."""

from typing import Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field

from service.models.table import Table

_VIEW = "is_view"


class View(Table):
    """Base of views in the database, which resources serve read-only. A migration of the team creates the view.

    `id` must be unique: lists page by it. A field that the view may give as NULL must allow `None`: paging depends on
    that too. A foreign key is declared as in a table, and is a relation to the other resource.
    """

    __table_args__: ClassVar[dict[str, Any]] = {"info": {_VIEW: True}}

    id: UUID = Field(primary_key=True, description="Id of the item.")


def is_view(table: sa.Table) -> bool:
    """Whether the model of the table is a view, which is not to be created as a table."""
    return bool(table.info.get(_VIEW))

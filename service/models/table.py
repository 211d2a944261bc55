"""The base class of all tables: shared metadata and names of constraints."""

from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import MetaData
from sqlmodel import SQLModel
from sqlmodel.main import SQLModelMetaclass, default_registry


class TableNameError(Exception):
    """Two models have the same table name; the message names both."""


class _TableMetaclass(SQLModelMetaclass):
    """Refuses a second model of a table, before SQLAlchemy does without naming the first."""

    def __init__(self, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **more: Any) -> None:
        if more.get("table"):
            _refuse_twin(self)
        super().__init__(name, bases, namespace, **more)


def _refuse_twin(model: Any) -> None:
    table = model.metadata.tables.get(model.__tablename__)
    if table is None:
        return
    first = next((one.class_ for one in default_registry.mappers if one.local_table is table), None)
    other = "another model" if first is None else f"{first.__module__}.{first.__qualname__}"
    raise TableNameError(
        f"{model.__module__}.{model.__qualname__} has the table {table.name}, as {other} has; give one of them "
        "another __tablename__, or remove one (docs/resources.md says how to remove the sample)"
    )


if TYPE_CHECKING:  # they know the arguments of models from the metaclass of SQLModel itself
    _Metaclass = SQLModelMetaclass
else:
    _Metaclass = _TableMetaclass


class Table(SQLModel, metaclass=_Metaclass):
    """Base of every table. Do not change the naming convention: database errors map constraint names to fields.

    Raises `TableNameError`.
    """

    metadata: ClassVar[MetaData] = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        }
    )

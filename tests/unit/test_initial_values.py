"""What a new row has in a field that the client left out, and in which constraints new rows conflict."""

from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ExcludeConstraint

from service.resources.statements.batches import sole_key, unique_keys
from service.resources.statements.initial import initial_value
from service.resources.statements.statement import compile_fragment

_GIVEN: sa.ColumnElement[Any] = sa.literal_column("given")


def _resource(*parts: Any, owner: str | None = None) -> Any:
    """Return what the functions read of a resource."""
    return SimpleNamespace(table=sa.Table("thing", sa.MetaData(), *parts), owner_field=owner)


@pytest.mark.parametrize(
    ("column", "sql"),
    [
        (sa.Column("a", sa.Text, server_default="x", nullable=True), "given"),  # null is a value
        (sa.Column("a", sa.Text, nullable=False), "given"),
        (
            sa.Column("a", sa.Text, server_default="it's", nullable=False),
            "coalesce(given, CAST('it''s' AS TEXT))",
        ),
        (sa.Column("a", sa.Integer, server_default=sa.text("7"), nullable=False), "coalesce(given, 7)"),
    ],
)
def test_null_becomes_the_default_of_a_column_that_takes_none(column: sa.Column[Any], sql: str) -> None:
    (text,) = compile_fragment(initial_value(_resource(column), "a", _GIVEN)).texts
    assert text == sql


def test_sole_key_is_the_only_constraint_that_two_rows_can_break() -> None:
    def columns() -> list[sa.Column[Any]]:
        return [sa.Column(name, sa.Integer) for name in ("a", "b", "tenant")]

    by_index = sa.Index("ix", "tenant", "a", unique=True)
    excludes = ExcludeConstraint(("b", "="), using="gist")
    both = _resource(*columns(), sa.UniqueConstraint("b"), sa.Index("ix", "a", unique=True))
    assert sorted(unique_keys(both)) == [("a",), ("b",)]
    assert sole_key(both) is None
    assert sole_key(_resource(*columns(), by_index, owner="tenant")) == ("a",)
    assert sole_key(_resource(*columns(), sa.UniqueConstraint("b"))) == ("b",)
    assert sole_key(_resource(*columns(), sa.UniqueConstraint("b"), excludes)) is None
    assert sole_key(_resource(*columns(), sa.Index("ix", "a"))) is None

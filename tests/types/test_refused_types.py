"""Unsupported column types do not start; the error says why and what to do."""

import itertools
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Annotated, Any, Literal, NewType
from uuid import UUID

import pytest
import sqlalchemy as sa
from pydantic import NaiveDatetime, StringConstraints
from sqlalchemy.dialects import postgresql as pg
from sqlmodel import Field

from service.models.base import Resource
from service.models.indexes import array_index, plain_index, search_index, sort_index, unique_index
from service.models.types import text_enum
from service.resources.declaration import DeclarationError, RestResource
from service.resources.schemas.items import Schemas
from tests.shop.metadata import new_metadata
from tests.types.table import SCOPES

_numbers = itertools.count()


class Upper(sa.types.TypeDecorator[str]):
    """A type that only the ORM can convert."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, _: Any) -> str | None:
        return value and value.upper()


class Size(StrEnum):
    SMALL = "s"
    LARGE = "l"


class Level(Enum):
    LOW = 1


Code = NewType("Code", str)


def declare(annotation: Any, column: Any = None, *indexes: sa.Index, **more: Any) -> RestResource:
    """Return a resource whose field `value` has this annotation and column type."""
    field = more.pop("field", {})
    field |= {"sa_type": column} if column is not None else {}
    members = {
        "__annotations__": {"value": annotation},
        "__module__": __name__,
        "__tablename__": "zz_refused",
        "__table_args__": (sort_index("zz_refused", "created_at"), *indexes),
        "metadata": new_metadata(),
        "value": Field(**field),
    }
    metaclass: Any = type(Resource)
    model = metaclass(f"ZzRefused{next(_numbers)}", (Resource,), members, table=True)
    return RestResource(model=model, path="zz-refused", scopes=SCOPES, **more)


_OTHERS: tuple[Any, ...] = (
    pg.HSTORE(), pg.INET(), pg.CIDR(), pg.MACADDR(), pg.CITEXT(), pg.MONEY(), pg.TSVECTOR(), pg.BIT(8), pg.INT4RANGE(),
    pg.TSTZRANGE(), pg.NUMMULTIRANGE(), sa.CHAR(8), pg.OID(),
)  # fmt: skip


def _refused() -> Iterator[tuple[Any, Any, str]]:
    for column in _OTHERS:
        yield str, column, "which is not served; accepted are BOOLEAN, SMALLINT, INTEGER"
    yield bytes, sa.LargeBinary, "is BYTEA, which is not served"
    yield dict[str, Any], sa.JSON, "is JSON, which is not served"
    yield NaiveDatetime, None, "use sa_type=DateTime(timezone=True)"
    yield datetime, sa.DateTime, "is TIMESTAMP WITHOUT TIME ZONE"
    yield (
        datetime,
        pg.TIMESTAMP(timezone=True, precision=0),
        "which rounds values; leave the precision out",
    )
    yield time, sa.Time(timezone=True), "is TIME WITH TIME ZONE"
    yield time, pg.TIME(precision=3), "which rounds values"
    yield timedelta, pg.INTERVAL(fields="YEAR TO MONTH"), "is an INTERVAL of some fields only"
    yield timedelta, sa.Interval(second_precision=3), "is an INTERVAL that rounds seconds"
    yield Decimal, sa.Numeric(10), "is NUMERIC(10), which rounds to whole numbers; name decimal_places"
    yield Decimal, sa.Numeric(2, 4), "name a scale from 0 to the precision"
    yield float, sa.Numeric(10, 2, asdecimal=False), "is NUMERIC read as float"
    yield str, Upper, "has the custom type Upper"
    yield Size, None, "stores the names of Size, and clients see its values; use sa_type=text_enum(Size)"
    yield list[list[int]], sa.ARRAY(sa.Integer, dimensions=2), "is an array of arrays; use JSONB"
    yield list[dict[str, Any]], sa.ARRAY(pg.JSONB), "is an array of JSONB"
    yield UUID, sa.Uuid(native_uuid=False), "stored as CHAR(32)"
    yield Decimal, sa.Double, "is Decimal in the model and DOUBLE PRECISION in the table; make them agree"
    yield str, sa.Integer, "is str in the model and INTEGER in the table"
    yield int, sa.Text, "is int in the model and TEXT in the table"
    yield bool, sa.Integer, "is bool in the model and INTEGER in the table"
    yield int, sa.Boolean, "is int in the model and BOOLEAN in the table"
    yield list[str], sa.ARRAY(sa.Integer), "in the model and INTEGER[] in the table"
    yield str, text_enum(Size), "is str in the model and enum in the table"
    yield Literal["s", "m"], text_enum(Size), "in the model and enum in the table; make them agree"
    yield Literal["s", 1], sa.Text, "in the model and TEXT in the table"
    yield Code, sa.Integer, "in the model and INTEGER in the table"


@pytest.mark.parametrize(("annotation", "column", "told"), [*_refused()])
def test_unsupported_type_is_refused(annotation: Any, column: Any, told: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        declare(annotation, column)
    assert str(raised.value).startswith("zz-refused: value ")
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("annotation", "column"),
    [(Literal["s", "l"], text_enum(Size)), (Literal["a", "b"], sa.Text), (Code, sa.Text)],
)
def test_type_of_texts_fits_a_column_that_holds_them(annotation: Any, column: Any) -> None:
    assert declare(annotation, column).kinds["value"]


def test_longest_text_that_fits_an_index_is_accepted() -> None:
    assert declare(str, None, sort_index("zz_refused", "value"), **_short(663)).kinds["value"]


def test_virtual_generated_column_is_refused() -> None:
    column = sa.Column("value", sa.Integer, sa.Computed("1 + 1", persisted=False))
    with pytest.raises(DeclarationError, match="value is computed when it is read"):
        declare(int | None, field={"default": None, "sa_column": column})


def test_renamed_column_is_refused() -> None:
    with pytest.raises(DeclarationError, match="value is not the name of its column"):
        declare(int, field={"sa_column": sa.Column("other", sa.Integer)})


def _short(length: int) -> dict[str, Any]:
    return {"field": {"max_length": length}}


@pytest.mark.parametrize(
    ("annotation", "column", "index", "more", "told"),
    [
        (str, None, unique_index("zz_refused", "value"), {}, "is in uq_zz_refused_value without a max_length"),
        (str, None, sort_index("zz_refused", "value"), {}, "name a max_length of up to 66"),
        (str, sa.Text, plain_index("zz_refused", "value"), {}, "without a max_length"),
        (str, None, sort_index("zz_refused", "value"), _short(664), "name a max_length of up to 662"),
        (list[str], sa.ARRAY(sa.Text), array_index("zz_refused", "value"), {}, "without a max_length"),
        (str, None, search_index("zz_refused", "value"), {"searchable": ("value",)}, "searchable without"),
        (
            str, None, search_index("zz_refused", "value"), {"searchable": ("value",), **_short(100_001)},
            "a search index takes 100000",
        ),
    ],
)  # fmt: skip
def test_index_with_unbounded_entries_is_refused(
    annotation: Any, column: Any, index: sa.Index, more: dict[str, Any], told: str
) -> None:
    with pytest.raises(DeclarationError) as raised:
        declare(annotation, column, index, **more)
    assert "zz-refused: value " in str(raised.value)
    assert told in str(raised.value)


def test_index_with_bounded_entries_is_accepted() -> None:
    declare(str, None, sort_index("zz_refused", "value"), **_short(600))
    words = list[Annotated[str, StringConstraints(max_length=600)]]
    declare(words, sa.ARRAY(sa.Text), array_index("zz_refused", "value"))
    declare(str, sa.Text(collation="C"), sort_index("zz_refused", "value"), **_short(600))


@pytest.mark.parametrize(
    ("annotation", "column", "field", "told"),
    [
        (str, None, {"default": "four", "max_length": 3}, "must have at most 3 characters"),
        (int, None, {"default": "x"}, "must be an integer"),
        (int, None, {"default": 2**31}, "must be"),
        (int, None, {"default": None}, "must be an integer"),
        (
            Decimal,
            None,
            {"default": Decimal("0.001"), "max_digits": 8, "decimal_places": 2},
            "decimal places",
        ),
        (list[str], sa.ARRAY(sa.Text), {"default_factory": lambda: [1]}, "must be"),
        (Size, text_enum(Size), {"default": "xl"}, "must be"),
    ],
)
def test_invalid_default_is_refused(annotation: Any, column: Any, field: dict[str, Any], told: str) -> None:
    resource = declare(annotation, column, field=field)
    with pytest.raises(
        DeclarationError, match=f"the default of value breaks the field's own rules: .*{told}"
    ):
        Schemas(resource, bulk_operations=1)

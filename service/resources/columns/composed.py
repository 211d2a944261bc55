"""Kinds built for a column: numbers with digits, enums, and arrays."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import Any

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.dialects import postgresql as pg

from service.resources.columns import json_text, text
from service.resources.columns.input_checks import MOST_DIGITS, DecimalRule
from service.resources.columns.kind import EQUALITY, ArrayKind, Kind, unchanged
from service.resources.columns.scalars import word

_WHOLE, _PLACES = 30, 20
"""Digits allowed in a filter, even if the column has fewer: a bound need not fit the column."""


def numeric_kind(precision: int | None, scale: int | None) -> Kind:
    """NUMERIC(precision, scale), or without both, which stores every value as sent."""
    places = MOST_DIGITS if scale is None else scale
    whole = MOST_DIGITS if precision is None else precision - places
    filter_whole, filter_places = max(whole, _WHOLE), max(places, _PLACES)
    return Kind(
        "NUMERIC",
        (Decimal,),
        sa.Numeric(),
        partial(text.decimal, whole=filter_whole, places=filter_places),
        {"type": "string", "pattern": DecimalRule(filter_whole, filter_places).pattern()},
        width=(whole + places) // 2 + 16,
        member=lambda column: sa.cast(column, sa.Text),
        # A before-validator makes Pydantic forget that the value came from JSON; in strict mode it would require a
        # Decimal.
        rules=(Field(strict=False),),
        before=(DecimalRule(whole, places),),
    )


def enum_kind(type_: sa.Enum) -> Kind:
    """An enum: a native PostgreSQL type, or text with a CHECK."""
    words: list[str] = list(type_.enums)

    def parse(given: str) -> str:
        if given not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return given

    native = type_.native_enum
    return Kind(
        "enum",
        (Enum,),
        type_ if native else sa.Text(),
        parse,
        {"type": "string", "enum": words},
        width=4 if native else 4 * max(map(len, words)),
        text=word,
        operators=EQUALITY,
    )


@dataclass(frozen=True, eq=False)
class _JsonKind(Kind):
    @property
    def convert(self) -> Callable[[Any], Any]:
        return json_text.write


def json_kind() -> Kind:
    """JSON documents, without filters or sorting."""
    return _JsonKind(
        "JSONB", (object,), pg.JSONB(), str, {}, width=None, native=True, operators=(), sortable=False
    )


def array_of(element: Kind) -> Kind:
    """An array, filtered by the elements it contains."""
    return ArrayKind(
        f"{element.name}[]",
        (list,),
        sa.ARRAY(element.sql),
        lambda given: [element.parse(given)],
        element.schema,
        width=None,
        member=unchanged if element.member is unchanged else partial(_members, element.sql, element.member),
        operators=("contains",),
        sortable=False,
        element=element,
    )


def _members(
    sql: sa.types.TypeEngine[Any],
    member: Callable[[sa.ColumnElement[Any]], sa.ColumnElement[Any]],
    column: sa.ColumnElement[Any],
) -> sa.ColumnElement[Any]:
    """Return the array as JSON, with elements formatted like single values."""
    unnested = sa.func.unnest(column).table_valued(sa.column("part", sql), with_ordinality="place")
    parts = unnested.render_derived(name="_parts")
    shown = pg.aggregate_order_by(member(parts.c.part), parts.c.place)
    array = sa.select(
        sa.func.coalesce(sa.func.json_agg(shown), sa.literal_column("'[]'::json"))
    ).scalar_subquery()
    return sa.case((column.is_(None), sa.null()), else_=array)

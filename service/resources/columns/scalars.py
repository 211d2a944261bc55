"""Kinds without parameters, the same in every table."""

from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from enum import Enum
from functools import partial
from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
from pydantic import AwareDatetime, Field, WithJsonSchema

from service.http.content.integers import INT16, INT32, INT64
from service.http.content.schemas import INTEGRAL
from service.http.openapi import NO_NUL
from service.resources.columns import input_checks, text
from service.resources.columns.kind import EQUALITY, Kind

_RFC3339: sa.ColumnElement[str] = sa.literal_column("""'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'""")
_UTC: sa.ColumnElement[str] = sa.literal_column("'UTC'")
_FIRST: sa.ColumnElement[Any] = sa.literal_column("'0001-01-01 00:00:00+00'::timestamptz")
_BEYOND: sa.ColumnElement[Any] = sa.literal_column("'10000-01-01 00:00:00+00'::timestamptz")
# Converting an interval, PostgreSQL counts a year 5.25 days longer than when comparing.
_YEAR_EXCESS = 453_600

_STRING: dict[str, Any] = {"type": "string"}
# The formats time and duration (RFC 3339) require a zone, and allow no sign and no fraction.
_TIME = {**_STRING, "pattern": text.TIME_PATTERN}
_DURATION = {**_STRING, "pattern": text.DURATION_PATTERN}


def _rfc3339(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return the time in UTC with six digits. Values that RFC 3339 cannot express have PostgreSQL's own format."""
    shown = sa.func.to_char(sa.func.timezone(_UTC, column), _RFC3339)
    return sa.case((sa.and_(column >= _FIRST, column < _BEYOND), shown), else_=sa.cast(column, sa.Text))


def _seconds(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return an ISO 8601 duration in seconds. A month has 30 days, as in PostgreSQL's comparisons."""
    length = sa.extract("epoch", column) - sa.literal_column(str(_YEAR_EXCESS)) * sa.extract("year", column)
    size = sa.cast(sa.func.trim_scale(sa.func.abs(length)), sa.Text)
    sign = sa.case(
        (length < sa.literal_column("0"), sa.literal_column("'-PT'")), else_=sa.literal_column("'PT'")
    )
    shown = sign.op("||")(size).op("||")(sa.literal_column("'S'"))
    return sa.case((sa.func.isfinite(column), shown), else_=sa.cast(column, sa.Text))


def _seconds_text(value: timedelta) -> str:
    micros = value // timedelta(microseconds=1)
    seconds, rest = divmod(abs(micros), 1_000_000)
    return f"{'-' if micros < 0 else ''}{seconds}.{rest:06} seconds"


def _truth(value: bool) -> str:  # noqa: FBT001  # same signature as the other kinds
    return "true" if value else "false"


def word(value: Any) -> str:
    """Return the text of an enum member, a URL or a path."""
    # Not `value`, which is made of two calls.
    return str(value._value_ if isinstance(value, Enum) else value)


class _TextKind(Kind):
    @property
    def convert(self) -> Callable[[Any], Any]:
        return word


class _IntervalKind(Kind):
    def wire_shown(self, value: Any) -> Any:
        # PostgreSQL does not parse a sign before an ISO 8601 duration.
        return f"PT-{value.removeprefix('-PT')}" if value and value.startswith("-PT") else value


def _integer(name: str, sql: sa.types.TypeEngine[Any], allowed: range, width: int) -> Kind:
    low, high = allowed[0], allowed[-1]
    return Kind(
        name,
        (int,),
        sql,
        partial(text.integer, allowed=allowed),
        {"type": "integer", "minimum": low, "maximum": high},
        width=width,
        native=True,
        rules=(Field(ge=low, le=high),),
        before=(INTEGRAL,),
    )


def _float(
    name: str, sql: sa.types.TypeEngine[Any], width: int, parse: Callable[[str], float], *more: Any
) -> Kind:
    number = {"type": "number"}
    return Kind(
        name, (float,), sql, parse, number, width, text=repr, rules=more, before=(input_checks.EXACT,)
    )


def _text_kind(
    name: str,
    annotations: tuple[Any, ...],
    sql: sa.types.TypeEngine[Any],
    parse: Callable[[str], Any],
    schema: Mapping[str, Any],
    *,
    cls: type[Kind] = Kind,
    **more: Any,
) -> Kind:
    """Return a kind whose JSON is text of one grammar, in bodies as in query parameters."""
    return cls(name, annotations, sql, parse, schema, grammar=input_checks.Text(parse, schema), **more)


SMALLINT = _integer("SMALLINT", sa.SmallInteger(), INT16, width=2)
INTEGER = _integer("INTEGER", sa.Integer(), INT32, width=4)
BIGINT = _integer("BIGINT", sa.BigInteger(), INT64, width=8)
DOUBLE = _float("DOUBLE PRECISION", sa.Double(), 8, text.number)
REAL = _float("REAL", sa.REAL(), 4, text.real, input_checks.REAL)
BOOLEAN = Kind(
    "BOOLEAN",
    (bool,),
    sa.Boolean(),
    text.boolean,
    {"type": "boolean"},
    width=1,
    text=_truth,
    native=True,
    operators=("eq", "ne"),
)
TEXT = _TextKind(
    "TEXT",
    (str,),
    sa.Text(),
    text.plain,
    {"type": "string", "pattern": NO_NUL},
    width=None,
    text=word,
    native=True,
    operators=EQUALITY,
)
UUID_ = Kind(
    "UUID",
    (UUID,),
    sa.Uuid(),
    text.uuid,
    {"type": "string", "format": "uuid"},
    width=16,
    native=True,
    operators=EQUALITY,
)
DATE = _text_kind(
    "DATE",
    (date,),
    sa.Date(),
    text.calendar_date,
    {**_STRING, "format": "date"},
    width=4,
    text=date.isoformat,
)
TIMESTAMP = _text_kind(
    "TIMESTAMP WITH TIME ZONE",
    (datetime, AwareDatetime),
    sa.DateTime(timezone=True),
    text.timestamp,
    {**_STRING, "format": "date-time"},
    width=8,
    text=datetime.isoformat,
    member=_rfc3339,
    shown=AwareDatetime,
)
TIME = _text_kind(
    "TIME",
    (time,),
    sa.Time(),
    text.clock_time,
    _TIME,
    width=8,
    text=time.isoformat,
    shown=Annotated[time, WithJsonSchema(_TIME)],
)
INTERVAL = _text_kind(
    "INTERVAL",
    (timedelta,),
    sa.Interval(),
    text.duration,
    _DURATION,
    cls=_IntervalKind,
    width=16,
    text=_seconds_text,
    member=_seconds,
    shown=Annotated[timedelta, WithJsonSchema(_DURATION)],
)

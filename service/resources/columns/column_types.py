"""Maps column types to kinds. The service refuses to start with any other type."""

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

from service.resources.columns import scalars
from service.resources.columns.composed import array_of, enum_kind, json_kind, numeric_kind
from service.resources.columns.kind import ColumnError, Kind

ACCEPTED = (
    "BOOLEAN, SMALLINT, INTEGER, BIGINT, REAL, DOUBLE PRECISION, NUMERIC, TEXT, VARCHAR, UUID, DATE, "
    "TIME, TIMESTAMP WITH TIME ZONE, INTERVAL, JSONB, enums of text, and one-dimensional arrays of these but JSONB"
)
_MICROSECONDS = (None, 6)  # digits of a second's fraction; with fewer, PostgreSQL rounds

_DIALECT = pg.dialect()  # type: ignore[no-untyped-call]
# Exact classes: subclasses, such as CITEXT of TEXT or CHAR of String, compare differently.
_SIMPLE: Mapping[type[Any], Kind] = {
    **dict.fromkeys((sa.Boolean, sa.BOOLEAN), scalars.BOOLEAN),
    **dict.fromkeys((sa.SmallInteger, sa.SMALLINT), scalars.SMALLINT),
    **dict.fromkeys((sa.Integer, sa.INTEGER), scalars.INTEGER),
    **dict.fromkeys((sa.BigInteger, sa.BIGINT), scalars.BIGINT),
    **dict.fromkeys((sa.Double, sa.DOUBLE, sa.DOUBLE_PRECISION, pg.DOUBLE_PRECISION), scalars.DOUBLE),
    **dict.fromkeys((sa.REAL, pg.REAL), scalars.REAL),
    **dict.fromkeys((sa.String, sa.VARCHAR, sa.Text, sa.TEXT, sa.Unicode, sa.UnicodeText), scalars.TEXT),
    **dict.fromkeys((sa.Date, sa.DATE), scalars.DATE),
    pg.JSONB: json_kind(),
}


def kind_of(type_: sa.types.TypeEngine[Any]) -> Kind:
    """Return the kind of a column's type. Raises `ColumnError` for an unsupported type."""
    type_ = _unwrapped(type_)
    cls = type(type_)
    if cls in _SIMPLE:
        return _SIMPLE[cls]
    make = _MADE.get(cls)
    if make is None:
        raise ColumnError(f"is {_describe(type_)}, which is not served; accepted are {ACCEPTED}")
    return make(type_)


def _unwrapped(type_: sa.types.TypeEngine[Any]) -> sa.types.TypeEngine[Any]:
    """Return the type without SQLModel's wrapper. Other wrappers are refused: the engine would bypass their code."""
    if isinstance(type_, sa.types.TypeDecorator) and not isinstance(type_, sa.Interval):
        if not isinstance(type_, AutoString | UTCDateTime):
            raise ColumnError(
                f"has the custom type {type(type_).__name__}, whose conversions the engine would bypass; "
                f"convert in a hook, and store one of {ACCEPTED}"
            )
        return type_.impl_instance
    return type_


def _describe(type_: sa.types.TypeEngine[Any]) -> str:
    try:
        return str(type_.compile(dialect=_DIALECT))
    except sa.exc.SQLAlchemyError:
        return type(type_).__name__


def _timestamp(type_: Any) -> Kind:
    if not type_.timezone:
        raise ColumnError(
            "is TIMESTAMP WITHOUT TIME ZONE, which does not say what time it means; use "
            "sa_type=DateTime(timezone=True)"
        )
    return _unrounded(type_, scalars.TIMESTAMP)


def _time(type_: Any) -> Kind:
    if type_.timezone:
        raise ColumnError(
            "is TIME WITH TIME ZONE, whose values have no order without a date; use TIME, or "
            "DateTime(timezone=True)"
        )
    return _unrounded(type_, scalars.TIME)


def _interval(type_: Any) -> Kind:
    if getattr(type_, "fields", None) or not getattr(type_, "native", True):
        raise ColumnError(
            "is an INTERVAL of some fields only, which truncates values; use sa_type=Interval()"
        )
    if getattr(type_, "second_precision", None) not in _MICROSECONDS:
        raise ColumnError("is an INTERVAL that rounds seconds; use sa_type=Interval()")
    return _unrounded(type_, scalars.INTERVAL)


def _unrounded(type_: Any, kind: Kind) -> Kind:
    if getattr(type_, "precision", None) not in _MICROSECONDS:
        raise ColumnError(f"is {_describe(type_)}, which rounds values; leave the precision out")
    return kind


def _float(type_: Any) -> Kind:
    """FLOAT(24) and less is REAL (PostgreSQL, section 8.1.3)."""
    return scalars.REAL if (type_.precision or 53) <= 24 else scalars.DOUBLE  # noqa: PLR2004


def _numeric(type_: Any) -> Kind:
    if not type_.asdecimal:
        raise ColumnError("is NUMERIC read as float, which rounds; use Decimal, or DOUBLE PRECISION")
    if type_.precision is not None and type_.scale is None:
        raise ColumnError(
            f"is NUMERIC({type_.precision}), which rounds to whole numbers; name decimal_places (or the scale) "
            "as well as max_digits, 0 for whole numbers, or neither"
        )
    if type_.precision is not None and not 0 <= type_.scale <= type_.precision:
        raise ColumnError(
            "is NUMERIC with more decimal places than digits; name a scale from 0 to the precision"
        )
    return numeric_kind(type_.precision, type_.scale)


def _enum(type_: Any) -> Kind:
    cls = type_.enum_class
    if cls is not None and sorted(type_.enums) != sorted(str(member.value) for member in cls):
        raise ColumnError(
            f"stores the names of {cls.__name__}, and clients see its values; use sa_type=text_enum({cls.__name__}), "
            "or values_callable"
        )
    return enum_kind(type_)


def _uuid(type_: Any) -> Kind:
    if not type_.native_uuid:
        raise ColumnError("is a UUID stored as CHAR(32); leave native_uuid as it is")
    return scalars.UUID_


def _array(type_: Any) -> Kind:
    if (type_.dimensions or 1) != 1:
        raise ColumnError("is an array of arrays; use JSONB")
    element = kind_of(type_.item_type)
    if element.is_json:
        raise ColumnError("is an array of JSONB; use JSONB alone, which holds arrays too")
    return array_of(element)


_MADE: Mapping[type[Any], Callable[[Any], Kind]] = {
    **dict.fromkeys((sa.DateTime, sa.TIMESTAMP, pg.TIMESTAMP), _timestamp),
    **dict.fromkeys((sa.Time, sa.TIME, pg.TIME), _time),
    **dict.fromkeys((sa.Interval, pg.INTERVAL), _interval),
    **dict.fromkeys((sa.Float, sa.FLOAT), _float),
    **dict.fromkeys((sa.Numeric, sa.NUMERIC, sa.DECIMAL), _numeric),
    **dict.fromkeys((sa.Enum, pg.ENUM), _enum),
    **dict.fromkeys((sa.Uuid, sa.UUID, pg.UUID), _uuid),
    **dict.fromkeys((sa.ARRAY, pg.ARRAY), _array),
}

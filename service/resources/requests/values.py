"""Typed values out of query parameters: what the text must look like for each kind of column."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from service.resources.statements.columns import kind_of

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})\Z")
_DECIMAL = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,20})?\Z")
_FLOAT = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?\Z")
_DATE = re.compile(r"\d{4}-\d\d-\d\d\Z")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)\Z")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_BITS = {sa.SmallInteger: 15, sa.BigInteger: 63, sa.Integer: 31}


def integer(text: str, bits: int = 31) -> int:
    """Plain decimal digits, no underscore, sign or space that Python would take. Raises `ValueError`."""
    if not _INTEGER.match(text) or not -(2**bits) <= (value := int(text)) < 2**bits:
        raise ValueError("must be an integer")
    return value


def timestamp(text: str) -> datetime:
    """RFC 3339 with a zone, as UTC. Raises `ValueError`."""
    if not _TIME.match(text):
        raise ValueError("must be a time as in RFC 3339, such as 2026-01-31T09:30:00Z")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be a time that exists") from None


def _decimal(text: str) -> Decimal:
    if not _DECIMAL.match(text):
        raise ValueError("must be a number")
    return Decimal(text)


def _float(text: str) -> float:
    if not _FLOAT.match(text) or abs(value := float(text)) == float("inf"):
        raise ValueError("must be a number")
    return value


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text if _DATE.match(text) else "")
    except ValueError:
        raise ValueError("must be a date that exists, such as 2026-01-31") from None


def _uuid(text: str) -> UUID:
    if not _UUID.match(text):
        raise ValueError("must be a UUID")
    return UUID(text)


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("must be true or false")
    return text == "true"


def _enum(kind: sa.Enum) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in kind.enums:
            raise ValueError(f"must be one of {', '.join(kind.enums)}")
        return text

    return parse


def _text(text: str) -> str:
    if "\x00" in text:
        raise ValueError("must not have a NUL character")
    return text


def parser_of(column: sa.Column[Any]) -> Callable[[str], Any] | None:
    """The function that reads a value of this column from text, or None when there is no such thing."""
    kind = kind_of(column)
    if isinstance(kind, sa.ARRAY):
        kind = kind.item_type
    if isinstance(kind, sa.Enum):
        return _enum(kind)
    if isinstance(kind, sa.Integer):
        bits = next(bits for type_, bits in _BITS.items() if isinstance(kind, type_))
        return lambda text: integer(text, bits)
    parsers: list[tuple[Any, Callable[[str], Any]]] = [
        (sa.DateTime, timestamp),
        (sa.Date, _date),
        (sa.Numeric, _decimal),
        (sa.Float, _float),
        (sa.Uuid, _uuid),
        (sa.Boolean, _boolean),
        (sa.String, _text),
    ]
    return next((parse for type_, parse in parsers if isinstance(kind, type_)), None)

"""Checks that every valid value fits the indexes of its column. PostgreSQL would fail only at the insert."""

from collections.abc import Iterator, Mapping
from typing import Any, get_args

import sqlalchemy as sa
from pydantic.fields import FieldInfo

from service.models.indexes import columns_in
from service.resources.columns.kind import ColumnError, Kind
from service.resources.columns.model_fields import max_length, without_none

ENTRY = 2704
"""Bytes of an index entry: a third of a page (BTMaxItemSize; for GIN it is a few more)."""
SEARCHED = 100_000
"""Characters of one row that fit a search index; a tsvector has at most 1 MB (section 12.11)."""
_HEADER, _ALIGNMENT, _CHARACTER = 24, 8, 4


def check_indexes(table: sa.Table, fields: Mapping[str, FieldInfo], kinds: Mapping[str, Kind]) -> None:
    """Raise `ColumnError`, starting with the field, for an index whose entry could grow too long."""
    for name, columns, of_elements in _indexes(table):
        widths = {c.name: _width(fields[c.name], c, kinds[c.name], of_elements=of_elements) for c in columns}
        for field, width in widths.items():
            if width is None:
                raise ColumnError(f"{field} is in {name} without a max_length; {_advice(widths)}")
        total = _HEADER + sum(_aligned(width) for width in widths.values() if width is not None)
        if total > ENTRY:
            widest = max(widths, key=lambda field: widths[field] or 0)
            raise ColumnError(
                f"{widest} makes index entries of {name} up to {total} bytes long; {_advice(widths)}"
            )


def check_search(searchable: tuple[str, ...], table: sa.Table, fields: Mapping[str, FieldInfo]) -> None:
    """Raise `ColumnError`, starting with the field, for texts that may not fit a search index."""
    total = 0
    for name in searchable:
        length = _length(fields[name], table.c[name])
        if length is None:
            raise ColumnError(
                f"{name} is searchable without a max_length, but the size of a search index is limited"
            )
        total += length
    if total > SEARCHED:
        raise ColumnError(
            f"{', '.join(searchable)} have up to {total} characters together; a search index takes {SEARCHED}"
        )


def _indexes(table: sa.Table) -> Iterator[tuple[str, list[sa.Column[Any]], bool]]:
    """Yield the name and columns of each B-tree and each GIN index on arrays, as far as SQLAlchemy knows them."""
    for index in table.indexes:
        using = index.dialect_options["postgresql"]["using"] or "btree"
        columns = [table.c[name] for name in columns_in(index)]
        arrays = using == "gin" and all(isinstance(column.type, sa.ARRAY) for column in columns)
        if using == "btree" or arrays:
            yield str(index.name), columns, arrays
    for constraint in table.constraints:
        if isinstance(constraint, sa.UniqueConstraint):
            yield (
                f"the unique constraint of {', '.join(constraint.columns.keys())}",
                list(constraint.columns),
                False,
            )


def _width(info: FieldInfo, column: sa.Column[Any], kind: Kind, *, of_elements: bool) -> int | None:
    """Return the most bytes that the column takes in an entry."""
    length = _length(info, column)
    if of_elements and kind.element is not None:
        if kind.element.width is not None:
            return kind.element.width
        (part,) = get_args(without_none(info.annotation)[0])
        length = max_length(info, without_none(part)[0])
    return kind.width if kind.width is not None else None if length is None else length * _CHARACTER


def _length(info: FieldInfo, column: sa.Column[Any]) -> int | None:
    bounds = (max_length(info), getattr(column.type, "length", None))
    return min((bound for bound in bounds if bound is not None), default=None)


def _aligned(width: int) -> int:
    return -(-(width + _CHARACTER) // _ALIGNMENT) * _ALIGNMENT


def _advice(widths: Mapping[str, int | None]) -> str:
    texts = [field for field, width in widths.items() if width is None or width > _HEADER]
    fixed = _HEADER + sum(
        _aligned(width) for f, width in widths.items() if width is not None and f not in texts
    )
    each = (ENTRY - fixed) // len(texts) // _CHARACTER - 2
    return f"an entry holds {ENTRY} bytes, and a character takes up to {_CHARACTER}: name a max_length of up to {each}"

"""The default of a column in the database, from that of its model."""

import json
import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
_TEXT = re.compile(r"'((?:[^']|'')*)'(?:::.*)?")


def constant_default(column: sa.Column[Any]) -> str | None:
    """Return the model's default in PostgreSQL's notation for text, which it reads for any type.

    None for a column without a default, and for one whose values a function makes.
    """
    default = column.default
    if not isinstance(default, sa.ColumnDefault):
        return None
    value: Any = default.arg
    if default.is_callable:
        made_by = getattr(value, "__wrapped__", None)
        if made_by not in (list, dict):
            return None
        value = made_by()
    if isinstance(column.type, sa.JSON):
        return json.dumps(value)
    if value == []:
        return "{}"
    try:
        literal = sa.literal(value, column.type).compile(
            dialect=_DIALECT, compile_kwargs={"literal_binds": True}
        )
    except sa.exc.CompileError:
        return None
    text = _TEXT.fullmatch(str(literal))
    return text[1].replace("''", "'") if text else str(literal)

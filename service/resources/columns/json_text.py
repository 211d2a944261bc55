"""Converts PostgreSQL's JSON to Python values and back. Its numbers have any size; orjson's are doubles."""

import json
from decimal import Decimal
from typing import Any

import orjson
from pydantic_core import to_jsonable_python


def read(text: str) -> Any:
    """Parse JSON text from PostgreSQL. A number too large for a double becomes an integer of any length."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text, parse_float=_finite)


def write(value: Any) -> str:
    """Serialise values, including integers of any length."""
    try:
        return orjson.dumps(value, default=to_jsonable_python).decode()
    except orjson.JSONEncodeError:
        return json.dumps(value, default=to_jsonable_python, ensure_ascii=False)


def _finite(text: str) -> float | int:
    value = float(text)
    return int(Decimal(text)) if value in (float("inf"), float("-inf")) else value

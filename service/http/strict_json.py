"""JSON as RFC 8259 has it, held to I-JSON (RFC 7493), so that what a client sent is what is stored.

Refused: bytes that are not UTF-8, a byte order mark, duplicate names, NaN and Infinity, lone surrogates, NUL in
text, numbers that neither 64 bits nor a double can hold as they are, and deep nesting.
"""

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from service.http.problems import InvalidJson

MAX_DEPTH = 32
_MAX_INTEGER = 2**63 - 1
_LONGEST_INTEGER = 20  # characters
_LONGEST_DOUBLE = 310
_SURROGATE = re.compile("[\ud800-\udfff]")


def parse(body: bytes) -> Any:
    """The document. Raises `InvalidJson` with the reason."""
    try:
        text = body.decode("utf-8")
        document = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_float=_exact_float,
            parse_int=_bounded_int,
        )
    except UnicodeDecodeError:
        raise InvalidJson("The body is not UTF-8.") from None
    except RecursionError:
        raise InvalidJson(_TOO_DEEP) from None
    except ValueError as error:
        raise InvalidJson(_reason(error)) from None
    _check(document, MAX_DEPTH)
    return document


_TOO_DEEP = f"Nested deeper than {MAX_DEPTH} levels."


def _reason(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos}."
    return str(error)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("An object has the same name twice.")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON.")


def _bounded_int(digits: str) -> float:
    if len(digits) <= _LONGEST_INTEGER and -_MAX_INTEGER - 1 <= (value := int(digits)) <= _MAX_INTEGER:
        return value
    # PostgreSQL writes 1e22 as digits; what it says must be good enough to be sent back.
    if len(digits) > _LONGEST_DOUBLE or not _is_exact(digits, double := float(digits)):
        raise ValueError("An integer does not fit into 64 bits, nor into a double without loss.")
    return double


def _exact_float(digits: str) -> float:
    value = float(digits)
    if not _is_exact(digits, value):
        raise ValueError("A number does not fit into a double without loss; send it as text.")
    return value


def _is_exact(digits: str, value: float) -> bool:
    """Whether the double is written as these digits, or as others that mean the same."""
    try:
        return abs(value) != float("inf") and Decimal(digits) == Decimal(repr(value))
    except InvalidOperation:  # an exponent beyond all that can be computed with
        return False


def _check(node: Any, depth: int) -> None:
    """Judge what the parser lets through: texts and the depth of nesting."""
    if isinstance(node, str):
        if "\x00" in node:
            raise InvalidJson("A text has a NUL character.")
        if _SURROGATE.search(node):
            raise InvalidJson("A text has half of a surrogate pair.")
    elif isinstance(node, dict | list):
        if depth == 0:
            raise InvalidJson(_TOO_DEEP)
        if isinstance(node, dict):
            for name in node:
                _check(name, depth)
        for child in node.values() if isinstance(node, dict) else node:
            _check(child, depth - 1)

"""Parts of statements, compiled once and put together as text.

SQLAlchemy takes milliseconds to compile a statement, and a client can ask for a new shape of a list with every request.
The parts that shapes are made of are few.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from service.resources.statements.statement import Statement, compile_statement

_PLACE = re.compile(r"\$(\d+)")


@dataclass(frozen=True, slots=True)
class Fragment:
    """SQL in pieces, with the name of a parameter between each two of them."""

    texts: tuple[str, ...]
    names: tuple[str, ...]

    def statement(self, *, prefix: str = "", reads: bool = False) -> Statement:
        """The whole as a statement; a parameter that comes several times is sent once."""
        numbers: dict[str, int] = {}
        sql = [prefix, self.texts[0]]
        for name, text in zip(self.names, self.texts[1:], strict=True):
            sql += [f"${numbers.setdefault(name, len(numbers) + 1)}", text]
        return Statement("".join(sql), tuple(numbers), _NO_CONSTANTS, reads)

    def split(self, *marks: str) -> "list[Fragment]":
        """The fragments around these texts, each of which comes once, in this order."""
        parts, rest = [], self
        for mark in marks:
            place = next(number for number, text in enumerate(rest.texts) if mark in text)
            before, _, after = rest.texts[place].partition(mark)
            parts.append(Fragment((*rest.texts[:place], before), rest.names[:place]))
            rest = Fragment((after, *rest.texts[place + 1 :]), rest.names[place:])
        return [*parts, rest]


_NO_CONSTANTS: Mapping[str, Any] = {}


def compile_fragment(part: sa.sql.ClauseElement) -> Fragment:
    """Compile for asyncpg. Every parameter must be one that gets its value at each run."""
    compiled = compile_statement(part)
    if compiled.constants:
        raise ValueError(f"write these values as literals: {', '.join(compiled.constants)}")
    pieces = _PLACE.split(compiled.sql)
    names = tuple(compiled.parameters[int(number) - 1] for number in pieces[1::2])
    return Fragment(tuple(pieces[::2]), names)


def concatenate(*parts: Fragment | str) -> Fragment:
    """The parts one after the other."""
    texts, names = [""], list[str]()
    for part in parts:
        if isinstance(part, str):
            texts[-1] += part
        else:
            texts[-1] += part.texts[0]
            texts += part.texts[1:]
            names += part.names
    return Fragment(tuple(texts), tuple(names))


def every(conditions: Iterable[Fragment]) -> Fragment:
    """All of the conditions, of which there is at least one."""
    return _joined(" AND ", conditions)


def either(conditions: Iterable[Fragment]) -> Fragment:
    """One of the conditions, of which there is at least one."""
    return _joined(" OR ", conditions)


def _joined(operator: str, conditions: Iterable[Fragment]) -> Fragment:
    parts: list[Fragment | str] = []
    for condition in conditions:
        parts += [f"){operator}(" if parts else "((", condition]
    return concatenate(*parts, "))")

"""Parts of statements, compiled once and joined as text.

SQLAlchemy takes milliseconds to compile a statement, and a client can request a new list shape every time. All shapes
consist of a few parts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fragment:
    """Pieces of SQL, with a parameter name between each two."""

    texts: tuple[str, ...]
    names: tuple[str, ...]

    def sql(self, numbers: Mapping[str, int]) -> str:
        """Return the SQL with these parameter numbers, as `$1`."""
        sql = [self.texts[0]]
        for name, text in zip(self.names, self.texts[1:], strict=True):
            sql += [f"${numbers[name]}", text]
        return "".join(sql)

    def split(self, *marks: str) -> "list[Fragment]":
        """Split at these texts, each of which occurs once, in this order."""
        parts, rest = [], self
        for mark in marks:
            place = next(number for number, text in enumerate(rest.texts) if mark in text)
            before, _, after = rest.texts[place].partition(mark)
            parts.append(Fragment((*rest.texts[:place], before), rest.names[:place]))
            rest = Fragment((after, *rest.texts[place + 1 :]), rest.names[place:])
        return [*parts, rest]


def concatenate(*parts: Fragment | str) -> Fragment:
    """Join the parts."""
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
    """Join at least one condition with AND."""
    return _joined(" AND ", conditions)


def either(conditions: Iterable[Fragment]) -> Fragment:
    """Join at least one condition with OR."""
    return _joined(" OR ", conditions)


def _joined(operator: str, conditions: Iterable[Fragment]) -> Fragment:
    parts: list[Fragment | str] = []
    for condition in conditions:
        parts += [f"){operator}(" if parts else "((", condition]
    return concatenate(*parts, "))")

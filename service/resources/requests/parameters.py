"""Strict query parameters: UTF-8, no unknown names, and no repetition except of lists."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import unquote_plus

from starlette.requests import Request

from service.http.problems import FieldError, InvalidParameter
from service.resources.columns.text import integer

MAX_PARAMETERS = 100
MAX_IN_QUERY = 300  # parameters, counting each repetition of a list

T = TypeVar("T")

Splitter = Callable[[str], list[str]]
"""Splits the raw text of one parameter into the values of a list. Raises `ValueError` if it is not UTF-8."""


def split_texts(raw: str) -> list[str]:
    """Split texts at commas. `%2C` is a comma within a text."""
    return [_decoded(part) for part in raw.split(",")]


def split_words(raw: str) -> list[str]:
    """Split values that never contain a comma. Many clients send `%2C` for a comma, so it separates too."""
    return _decoded(raw).split(",")


@dataclass(frozen=True, slots=True)
class Query:
    """The parameters of a request: single values, and the values of lists."""

    single: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)

    def pairs(self) -> list[tuple[str, str]]:
        """Return every parameter and value, with lists as repeated parameters."""
        repeated = [(name, value) for name, values in self.lists.items() for value in values]
        return [*self.single.items(), *repeated]


def query_of(request: Request) -> dict[str, str]:
    """Return the parameters of an operation without lists. Raises `InvalidParameter` as `parse_query` does."""
    raw = request.scope["query_string"]
    return parse_query(raw, {}).single if raw else {}


def parse_query(raw: bytes, lists: Mapping[str, Splitter]) -> Query:
    """Return the parameters in a query string. Only `lists` may be repeated.

    Raises `InvalidParameter` for invalid UTF-8, too many parameters, or a repeated one.
    """
    query = Query()
    if not raw:
        return query
    try:
        for name, value in _pairs(raw):
            splitter = lists.get(name)
            if splitter is not None:
                query.lists.setdefault(name, []).extend(splitter(value))
            elif name in query.single:
                error = FieldError("The parameter is repeated.", parameter=name[:100])
                raise InvalidParameter(errors=[error])
            else:
                query.single[name] = _decoded(value)
    except ValueError:
        raise InvalidParameter("The query is not UTF-8.") from None
    if len(query.single) > MAX_PARAMETERS:
        raise _too_many()
    return query


def _pairs(raw: bytes) -> Iterator[tuple[str, str]]:
    """Yield the decoded names and the raw values."""
    if raw.count(b"&") >= MAX_IN_QUERY:
        raise _too_many()
    for part in raw.decode("ascii").split("&"):
        if part:
            name, _, value = part.partition("=")
            yield _decoded(name), value


def _decoded(text: str) -> str:
    return unquote_plus(text, errors="strict") if "%" in text or "+" in text else text


def _too_many() -> InvalidParameter:
    return InvalidParameter("The query has too many parameters.")


def refuse_others(given: Mapping[str, str], *known: str) -> Mapping[str, str]:
    """Return the parameters. Raises `InvalidParameter`, naming each one that is not `known`."""
    if given and (unknown := given.keys() - set(known)):
        raise InvalidParameter(
            errors=[
                FieldError("This parameter does not exist.", parameter=name[:100]) for name in sorted(unknown)
            ]
        )
    return given


def typed(given: Mapping[str, str], name: str, parse: Callable[[str], T]) -> T:
    """Return the value of a parameter. Raises `InvalidParameter` if `parse` raises `ValueError`."""
    try:
        return parse(given[name])
    except ValueError as error:
        raise InvalidParameter(errors=[FieldError(f"The value {error}.", parameter=name)]) from None


def page_limit(given: Mapping[str, str], *, default: int, most: int) -> int:
    """Return the `limit` of a page. Raises `InvalidParameter`."""
    if "limit" not in given:
        return min(default, most)
    limit = typed(given, "limit", integer)
    if not 1 <= limit <= most:
        raise InvalidParameter(errors=[FieldError(f"The value must be from 1 to {most}.", parameter="limit")])
    return limit

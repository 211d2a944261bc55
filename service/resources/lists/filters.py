"""Filters of lists: which a resource offers, what a request asks for, and their SQL."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from service.http.problems import FieldError, InvalidParameter
from service.resources.declaration import DeclarationError, RestResource
from service.resources.requests.parameters import Query, Splitter, split_texts, split_words
from service.resources.requests.values import parser_of
from service.resources.statements.columns import kind_of, parameter_kind
from service.resources.statements.statement import parameter

MAX_IN = 100

_COMPARE: Mapping[str, Callable[[Any, Any], sa.ColumnElement[bool]]] = {
    "eq": lambda column, value: column == value,
    "ne": lambda column, value: column.is_distinct_from(value),
    "lt": lambda column, value: column < value,
    "lte": lambda column, value: column <= value,
    "gt": lambda column, value: column > value,
    "gte": lambda column, value: column >= value,
    "in": lambda column, value: column == sa.any_(value),
    "contains": lambda column, value: column.op("@>")(value) if _is_array(column) else column.ilike(value),
    "startswith": lambda column, value: column.like(value),
    "isnull": lambda column, value: column.is_(None) == value,
}
_MEANING = {
    "eq": "equals",
    "ne": "is not",
    "lt": "is less than",
    "lte": "is at most",
    "gt": "is greater than",
    "gte": "is at least",
    "in": f"is one of up to {MAX_IN} values",
    "contains": "contains",
    "startswith": "starts with",
    "isnull": "has no value (true) or has one (false)",
}


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter that a resource offers: the parameter `name` compares `column` by `operator`."""

    name: str
    column: sa.Column[Any]
    operator: str
    parse: Callable[[str], Any]

    @property
    def description(self) -> str:
        return f"Items whose `{self.column.name}` {_MEANING[self.operator]}."

    @property
    def splitter(self) -> Splitter | None:
        """How the parameter becomes several values; None where it has one."""
        if self.operator != "in":
            return None
        kind = kind_of(self.column)
        choices = kind.enums if isinstance(kind, sa.Enum) else ()
        has_commas = any("," in choice for choice in choices) if choices else isinstance(kind, sa.String)
        return split_texts if has_commas else split_words

    def values(self, texts: Sequence[str]) -> list[Any]:
        """The typed values of a list. Raises `ValueError`."""
        if len(texts) > MAX_IN:
            raise ValueError(f"must be at most {MAX_IN} values")
        return [self.parse(text) for text in texts]

    def value(self, text: str) -> Any:
        """The typed value of a parameter that is no list. Raises `ValueError`."""
        value = self.parse(text)
        if self.operator == "contains":
            return [value] if _is_array(self.column) else f"%{_literal(value)}%"
        return f"{_literal(value)}%" if self.operator == "startswith" else value

    def condition(self) -> sa.ColumnElement[bool]:
        """The SQL, with a parameter of the filter's own name."""
        kind: Any = parameter_kind(self.column)
        if self.operator == "in":
            kind = sa.ARRAY(kind)
        elif self.operator == "isnull":
            kind = sa.Boolean()
        return _COMPARE[self.operator](
            sa.type_coerce(self.column, parameter_kind(self.column)), parameter(f"f_{self.name}", kind)
        )


def _is_array(column: sa.ColumnElement[Any]) -> bool:
    return isinstance(kind_of(column), sa.ARRAY)


def _literal(text: str) -> str:
    """The text as a part of a LIKE pattern that means itself."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _operators(column: sa.Column[Any]) -> list[str]:
    """What a column can be compared by. Texts only by what one of the model's indexes serves."""
    kind = kind_of(column)
    operators = ["eq", "ne", "in"]
    if isinstance(kind, sa.ARRAY):
        return ["contains"] if _has_index(column, None, using="gin") else []
    if isinstance(kind, sa.Boolean):
        operators = ["eq", "ne"]
    elif isinstance(kind, sa.Integer | sa.Numeric | sa.Float | sa.DateTime | sa.Date):
        operators += ["lt", "lte", "gt", "gte"]
    elif isinstance(kind, sa.String) and not isinstance(kind, sa.Enum):
        operators += ["startswith"] if _has_index(column, "text_pattern_ops") else []
        operators += ["contains"] if _has_index(column, "gin_trgm_ops", using="gin") else []
    if column.nullable:
        operators.append("isnull")
    return operators


def _has_index(column: sa.Column[Any], operator_class: str | None, *, using: str | None = None) -> bool:
    for index in column.table.indexes:
        options = index.dialect_options["postgresql"]
        if [c.name for c in index.columns] == [column.name] and (not using or options["using"] == using):
            found = (options["ops"] or {}).get(column.name)
            if found == operator_class:
                return True
    return False


def filters_of(resource: RestResource) -> dict[str, Filter]:
    """Every filter that the resource offers, by the name of its parameter. Raises `DeclarationError`.

    `id__in` is always there: clients fetch by it what other items refer to.
    """
    found = {}
    for name in dict.fromkeys((*resource.filterable, "id")):
        column = resource.table.c[name]
        parse, operators = parser_of(column), _operators(column)
        if parse is None or not operators:
            need = f'array_index("{column.table.name}", "{name}")' if _is_array(column) else "another type"
            raise DeclarationError(f"{resource.path}: to filter by {name}, its column needs {need}")
        for operator in operators if name in resource.filterable else ["in"]:
            key = name if operator == "eq" else f"{name}__{operator}"
            found[key] = Filter(key, column, operator, _is_true if operator == "isnull" else parse)
    return found


def _is_true(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("must be true or false")
    return text == "true"


def read_filters(offered: Mapping[str, Filter], query: Query) -> dict[str, Any]:
    """Typed values by parameter. Raises `InvalidParameter` naming each that is wrong."""
    values: dict[str, Any] = {}
    errors = []
    for name, given in {**query.single, **query.lists}.items():
        known = offered.get(name)
        if known is None:
            errors.append(FieldError("There is no such parameter.", parameter=name[:100]))
            continue
        try:
            values[name] = known.value(given) if isinstance(given, str) else known.values(given)
        except ValueError as error:
            errors.append(FieldError(f"The value {error}.", parameter=name))
    if errors:
        raise InvalidParameter(errors=errors)
    return values

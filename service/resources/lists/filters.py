"""Filters of lists: which ones a resource has, their values in requests, and their SQL."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from service.http.problems import FieldError, InvalidParameter
from service.models.indexes import whole_columns
from service.resources.columns.kind import Kind
from service.resources.columns.scalars import TEXT
from service.resources.columns.text import boolean
from service.resources.declaration import DeclarationError, RestResource
from service.resources.relations.related import refers_to_match
from service.resources.relations.relation import Relation, require_scopes
from service.resources.requests.parameters import Query, Splitter, split_texts, split_words
from service.resources.statements.statement import parameter
from service.security.principals import Principal

MAX_IN = 100
UNKNOWN = "This parameter does not exist."

_COMPARE: Mapping[str, Callable[[Any, Any], sa.ColumnElement[bool]]] = {
    "eq": lambda column, value: column == value,
    "ne": lambda column, value: column.is_distinct_from(value),
    "lt": lambda column, value: column < value,
    "lte": lambda column, value: column <= value,
    "gt": lambda column, value: column > value,
    "gte": lambda column, value: column >= value,
    "in": lambda column, value: column == sa.any_(value),
    "contains": lambda column, value: (
        column.op("@>")(value) if isinstance(column.type, sa.ARRAY) else column.ilike(value)
    ),
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
    """The parameter `name`, which compares `column` with a value by `operator`.

    `table` is that of the list; with a `relation`, the column is that of the other resource.
    """

    name: str
    column: sa.Column[Any]
    kind: Kind
    operator: str
    table: sa.Table
    relation: Relation | None = None

    @property
    def description(self) -> str:
        field = self.column.name if self.relation is None else f"{self.relation.name}.{self.column.name}"
        return f"Items whose `{field}` {_MEANING[self.operator]}."

    def compares(self, field: str) -> bool:
        """Whether it bounds this field of the list's own items."""
        return self.relation is None and self.column.name == field

    @property
    def splitter(self) -> Splitter | None:
        """How the parameter is split into values; None if it has a single value."""
        if self.operator != "in":
            return None
        choices = self.kind.schema.get("enum", ())
        has_commas = any("," in choice for choice in choices) if choices else self.kind is TEXT
        return split_texts if has_commas else split_words

    def values(self, texts: Sequence[str]) -> list[Any]:
        """Parse the values of a list into driver values. Raises `ValueError`."""
        if len(texts) > MAX_IN:
            raise ValueError(f"must be at most {MAX_IN} values")
        return self.kind.wire_list([self.kind.parse(text) for text in texts])

    def value(self, text: str) -> Any:
        """Parse the value of a single-valued parameter into a driver value. Raises `ValueError`."""
        kind = self.kind
        if self.operator == "isnull":
            return boolean(text)
        value = kind.wire(kind.parse(text))
        if self.operator == "contains":
            return value if kind.element else f"%{_literal(value)}%"
        return f"{_literal(value)}%" if self.operator == "startswith" else value

    def condition(self) -> sa.ColumnElement[bool]:
        """Return the SQL, with a parameter named after the filter."""
        name = f"f_{self.name}"
        if self.operator == "isnull":
            given: sa.ColumnElement[Any] = parameter(name, sa.Boolean())
        else:
            given = self.kind.bound_list(name) if self.operator == "in" else self.kind.bound(name)
        compare = _COMPARE[self.operator]
        if self.relation is None:
            return compare(self.column, given)
        one = self.operator == "eq" and _is_unique(self.column)
        field = self.column.name
        return refers_to_match(
            self.relation, self.table, lambda other: compare(other.c[field], given), one=one
        )


def _literal(text: str) -> str:
    """Return the text escaped for a LIKE pattern."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _operators(column: sa.Column[Any], kind: Kind) -> list[str]:
    """Return the operators of a column. Texts and arrays get only those that one of the model's indexes supports."""
    if kind.element is not None:
        return ["contains"] if _has_index(column, None, using="gin") else []
    operators = [*kind.operators]
    if kind is TEXT:
        operators += ["startswith"] if _has_index(column, "text_pattern_ops") else []
        operators += ["contains"] if _has_index(column, "gin_trgm_ops", using="gin") else []
    if column.nullable and operators:
        operators.append("isnull")
    return operators


def _has_index(column: sa.Column[Any], operator_class: str | None, *, using: str | None = None) -> bool:
    for index in column.table.indexes:
        options = index.dialect_options["postgresql"]
        if whole_columns(index) == (column.name,) and (not using or options["using"] == using):
            found = (options["ops"] or {}).get(column.name)
            if found == operator_class:
                return True
    return False


def _is_unique(column: sa.Column[Any]) -> bool:
    """Whether an index lets at most one item that is not deleted have a value."""
    indexes = column.table.indexes
    return any(index.unique and whole_columns(index) == (column.name,) for index in indexes)


def filters_of(resource: RestResource, relations: Sequence[Relation] = ()) -> dict[str, Filter]:
    """Return all filters of the resource by parameter name. Raises `DeclarationError`.

    `id__in` is always included: clients use it to fetch referenced items.
    """
    found: dict[str, Filter] = {}
    for name in dict.fromkeys((*resource.own_filters, "id")):
        column, kind = resource.table.c[name], resource.kinds[name]
        operators = _operators(column, kind)
        if not operators:
            need = f'array_index("{column.table.name}", "{name}")' if kind.element else "another type"
            raise DeclarationError(f"{resource.path}: to filter by {name}, its column needs {need}")
        for operator in operators if name in resource.own_filters else ["in"]:
            key = name if operator == "eq" else f"{name}__{operator}"
            if key in found:
                other = found[key].column.name
                raise DeclarationError(
                    f"{resource.path}: {key} would filter by {name} and by {other}; remove one of them from filterable"
                )
            found[key] = Filter(key, column, kind, operator, resource.table)
    return found | _related(resource, relations)


def _related(resource: RestResource, relations: Sequence[Relation]) -> dict[str, Filter]:
    """Return the filters over relations: those that the lists of the other resources have, too."""
    return {
        f"{relation.name}.{name}": replace(
            other, name=f"{relation.name}.{name}", table=resource.table, relation=relation
        )
        for relation in relations
        for name, other in filters_of(relation.target).items()
        if other.column.name in relation.filters
    }


def check_related(offered: Mapping[str, Filter], given: Query, principal: Principal) -> None:
    """Raise `Forbidden` for a filter over a resource that the principal may not read, and `InvalidParameter` for one by
    a field that it does not see."""
    for name in (*given.single, *given.lists):
        known = offered.get(name)
        if known is None or known.relation is None:
            continue
        target = known.relation.target
        require_scopes(principal, [target.scopes.read])
        scope = target.visible.get(known.column.name)
        if scope is not None and not principal.may(scope):
            raise InvalidParameter(errors=[FieldError(UNKNOWN, parameter=name)])


def parse_filters(offered: Mapping[str, Filter], query: Query) -> dict[str, Any]:
    """Return driver values by parameter. Raises `InvalidParameter`, naming each wrong parameter."""
    values: dict[str, Any] = {}
    errors = []
    for name, given in {**query.single, **query.lists}.items():
        known = offered.get(name)
        if known is None:
            errors.append(FieldError(UNKNOWN, parameter=name[:100]))
            continue
        try:
            values[name] = known.value(given) if isinstance(given, str) else known.values(given)
        except ValueError as error:
            errors.append(FieldError(f"The value {error}.", parameter=name))
    if errors:
        raise InvalidParameter(errors=errors)
    return values
